import { readFile } from 'node:fs/promises';
import { basename, extname, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { RunningNode } from '../../services/node/node.js';
import type { TierSettings } from '../../services/orchestrator/tiers/tiers.js';
import type { RegisterCommand } from '../command.js';

interface Flags {
  readonly tier: string;
  readonly host: string;
  readonly dataHost?: string;
  readonly dataPort: number;
  readonly metricsPort: number;
  readonly controlPort: number;
  readonly store?: string;
  readonly threads?: number;
  readonly engine?: string;
  readonly queue: number;
  readonly model: readonly NamedModel[];
  readonly exitWithParent?: boolean;
}

interface NamedModel {
  readonly name: string;
  readonly path: string;
}

/** What a request may still take after SIGTERM before it is given up. */
const GRACE_MS = 10_000;
/** A run inside the runtime cannot be interrupted: this much later the process ends all the same. */
const KILL_AFTER_MS = 2_000;

/** `tierbed node`: one tier's service. */
export const register: RegisterCommand = (program) => {
  program
    .command('node')
    .description('run the node of one tier: serves models, forwards stages and times every step')
    .requiredOption('--tier <name|file>', 'mobile, edge, cloud, or a YAML file like tiers/edge.yaml')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--data-host <address>', 'address that the data plane listens on (default: that of --host)')
    .option('--data-port <port>', 'gRPC, Open Inference Protocol v2 (0: a free one)', port, 8001)
    .option('--metrics-port <port>', 'HTTP: /healthz, /readyz, /metrics (0: a free one)', port, 8002)
    .option('--control-port <port>', 'gRPC, deployments and measured samples (0: a free one)', port, 8003)
    .option('--store <dir>', 'folder of models and items (default: store/ in the cache folder)')
    .option('--threads <n>', "threads of one session (default: the tier's, else from the CPU quota)", wholeNumber)
    .option('--engine <name>', "native or wasm (default: the tier's)")
    .option('--queue <n>', 'requests that may wait; one more is refused', wholeNumber, 64)
    .option('--model <name=file.onnx>', 'serve this model under that name; may be repeated', namedModel, [])
    .option('--exit-with-parent', 'end when standard input ends, so that nothing is left of a starter that was killed')
    .addHelpText(
      'after',
      `
When it is ready it prints one line of JSON: {"ready":true,"tier","data","metrics","control","pid"}. Logs go to stderr.
SIGTERM or Ctrl-C finishes what is running, then exits with 0; a second one ends at once.

Examples:
  tierbed node --tier edge                              on ports 8001, 8002 and 8003
  tierbed node --tier mobile --data-port 0 --metrics-port 0 --control-port 0 --threads 1
  tierbed node --tier edge --model resnet=resnet.onnx   answers any client of the Open Inference Protocol, e.g. tritonclient`,
    )
    .action(run);
};

async function run(flags: Flags): Promise<void> {
  // Loaded here: every other command would pay for the runtime's and the server's memory and start-up otherwise.
  const [{ startNode }, { pino }] = await Promise.all([import('../../services/node/node.js'), import('pino')]);
  const log = pino({ base: { tier: tierName(flags.tier) } }, pino.destination({ fd: 2, sync: true }));
  const { engine, threads } = await tierSettings(flags);
  const node = await startNode({
    tier: tierName(flags.tier),
    host: flags.host,
    ...(flags.dataHost !== undefined && { dataHost: flags.dataHost }),
    dataPort: flags.dataPort,
    metricsPort: flags.metricsPort,
    controlPort: flags.controlPort,
    queueLimit: flags.queue,
    ...(engine !== undefined && { engine }),
    ...(threads !== undefined && { threads }),
    log,
    ...(flags.store !== undefined && { storeDir: resolve(flags.store) }),
  });
  endOnSignals(node, log.info.bind(log), flags.exitWithParent ?? false);
  try {
    for (const model of flags.model) await serve(node, model);
  } catch (error) {
    await node.close(0);
    throw error;
  }
  const { tier, dataAddress, metricsAddress, controlAddress } = node;
  const ready = { ready: true, tier, data: dataAddress, metrics: metricsAddress, control: controlAddress };
  process.stdout.write(`${JSON.stringify({ ...ready, pid: process.pid })}\n`);
}

function endOnSignals(node: RunningNode, log: (message: string) => void, withParent: boolean): void {
  let ending = false;
  const end = async (why: string, graceMs: number): Promise<void> => {
    ending = true;
    log(`${why}: finishing what is running`);
    setTimeout(killSelf, graceMs + KILL_AFTER_MS).unref();
    await node.close(graceMs);
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (ending ? killSelf() : end(signal, GRACE_MS)));
  }
  if (!withParent) return;
  const orphaned = (): void => {
    // Nobody is left to wait for an answer.
    if (!ending) end('the parent has gone', 0);
  };
  process.stdin.on('end', orphaned).on('error', orphaned).resume();
}

/** The one way out while the inference thread is inside the runtime: `process.exit` would wait for it. */
function killSelf(): void {
  process.kill(process.pid, 'SIGKILL');
}

function serve(node: RunningNode, { name, path }: NamedModel) {
  return node.deployments.deploy({
    name,
    files: [],
    modelPath: resolve(path),
    mode: 'warm',
    warmupRuns: 0,
    engine: '',
    threads: 0,
    graphOptimization: true,
  });
}

function tierName(tier: string): string {
  return basename(tier, extname(tier));
}

/** What the flags leave open is the tier's to say. */
async function tierSettings({ tier, engine, threads }: Flags): Promise<{ engine?: string; threads?: number }> {
  if (engine !== undefined && threads !== undefined) return { engine, threads };
  const settings = await readTier(tier);
  return { ...settings, ...(engine !== undefined && { engine }), ...(threads !== undefined && { threads }) };
}

async function readTier(tier: string): Promise<Partial<TierSettings>> {
  const [{ loadTiers, TIER_NAMES, tierSchema }, { parseCheckedYaml }] = await Promise.all([
    import('../../services/orchestrator/tiers/tiers.js'),
    import('../../base/checked-yaml.js'),
  ]);
  const known = TIER_NAMES.find((name) => name === tier);
  if (known) return loadTiers()[known];
  let text: string;
  try {
    text = await readFile(tier, 'utf8');
  } catch (cause) {
    throw new TierbedError('missing', `there is no tier "${tier}", and no file of that name: ${messageOf(cause)}`, {
      fix: `Use ${TIER_NAMES.join(', ')}, or a YAML file like tiers/edge.yaml.`,
      cause,
    });
  }
  return parseCheckedYaml<Partial<TierSettings>>(text, tier, tierSchema).data;
}

function namedModel(value: string, before: readonly NamedModel[]): readonly NamedModel[] {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(value) ?? [];
  if (name === undefined || path === undefined) throw new InvalidArgumentError('write NAME=FILE.onnx');
  return [...before, { name, path }];
}

function port(value: string): number {
  const number = wholeNumber(value);
  if (number > 65_535) throw new InvalidArgumentError('a port is at most 65535');
  return number;
}

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('give a whole number');
  return Number(value);
}
