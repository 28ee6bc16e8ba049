import { InvalidArgumentError } from 'commander';
import type { RegisterCommand } from '../command.js';
import { stopSignal } from '../stop-signal.js';

interface Flags {
  readonly tier: string;
  readonly net: string;
  readonly driver: string;
  readonly host?: string;
  readonly controlPort: number;
  readonly metricsPort: number;
  readonly dataPort: number;
  readonly allow: readonly string[];
}

/** `tierbed link-agent`: owns a tier's network namespace and shapes its links. */
export const register: RegisterCommand = (program) => {
  program
    .command('link-agent')
    .description("run the link agent of one tier: owns the tier's network namespace and shapes its links")
    .requiredOption('--tier <name>', 'mobile, edge or cloud')
    .option('--driver <name>', 'netem, nfqueue, proxy, or auto: the best that this kernel can do', 'auto')
    .option('--net <prefix>', "what the testbed's networks begin with", process.env.TIERBED_NET ?? '10.203')
    .option('--host <address>', "address to listen on (default: the tier's on the control network)")
    .option('--control-port <port>', 'gRPC: settings, measurements (0: a free one)', port, 8004)
    .option('--metrics-port <port>', 'HTTP: /healthz, /readyz, /metrics (0: a free one)', port, 8005)
    .option('--data-port <port>', "the node's data port, which nobody reaches over the control network", port, 8001)
    .option(
      '--allow <address>',
      'who may talk to this tier over the control network; may be repeated (default: orchestrator and Prometheus)',
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .addHelpText(
      'after',
      `
It needs NET_ADMIN and NET_RAW, iproute2 and iptables, and the addresses of docs/links.md on its interfaces. Nothing passes
the tier's links until the orchestrator has set them. When it is ready it prints one line of JSON:
{"ready":true,"tier","control","metrics","driver","pid"}. Logs go to stderr. SIGTERM takes its rules away and ends it; the
links stay shut.

Examples:
  tierbed link-agent --tier edge
  tierbed link-agent --tier mobile --driver nfqueue --net 10.77`,
    )
    .action(run);
};

async function run(flags: Flags): Promise<void> {
  const [{ startLinkAgent }, { agentTier }, { INTERFACE_DRIVERS }, { pino }] = await Promise.all([
    import('../../services/link/agent/agent.js'),
    import('../../services/link/agent/plan.js'),
    import('../../services/link/index.js'),
    import('pino'),
  ]);
  const tier = agentTier(flags.tier);
  const log = pino({ base: { tier } }, pino.destination({ fd: 2, sync: true }));
  const { signal } = stopSignal();
  const agent = await startLinkAgent({
    tier,
    prefix: flags.net,
    drivers: INTERFACE_DRIVERS,
    driver: flags.driver,
    ...(flags.host !== undefined && { host: flags.host }),
    controlPort: flags.controlPort,
    metricsPort: flags.metricsPort,
    dataPort: flags.dataPort,
    ...(flags.allow.length > 0 && { controllers: flags.allow }),
    log,
  });
  const { controlAddress: control, metricsAddress: metrics, choice } = agent;
  process.stdout.write(
    `${JSON.stringify({ ready: true, tier, control, metrics, driver: choice.name, pid: process.pid })}\n`,
  );
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  log.info('stopping');
  await agent.close();
  process.exit(0);
}

function port(value: string): number {
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value);
  throw new InvalidArgumentError('give a port from 0 to 65535');
}
