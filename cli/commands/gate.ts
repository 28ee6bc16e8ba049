import type { RegisterCommand } from '../command.js';
import { portOption } from '../port-option.js';

interface Flags {
  readonly host: string;
  readonly port: number;
  readonly socket: string;
}

/** `tierbed gate`: what stands between the testbed and the Docker socket. */
export const register: RegisterCommand = (program) => {
  program
    .command('gate')
    .description('let the few calls through to the Docker engine that the testbed needs, and no others')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--port <port>',
      'HTTP: a part of the Engine API, and /healthz, /readyz, /metrics (0: a free one)',
      portOption,
      7071,
    )
    .option('--socket <path>', "the engine's socket", '/var/run/docker.sock')
    .addHelpText(
      'after',
      `
Runs in a container of the Compose project that it is for (compose.yaml has it): list, inspect, stats, update of limits,
pause, unpause, start, restart and kill, of this project's own containers alone. docs/docker.md has the list. What is refused
is answered with 403 and logged to stderr.`,
    )
    .action(run);
};

async function run(flags: Flags): Promise<void> {
  const [{ startGate }, { pino }] = await Promise.all([import('../../services/gate/gate.js'), import('pino')]);
  const log = pino({ base: null }, pino.destination({ fd: 2, sync: true }));
  const gate = await startGate({ host: flags.host, port: flags.port, socketPath: flags.socket, log });
  log.info({ address: gate.address }, 'gate is ready');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => gate.close().then(() => process.exit(0)));
  }
}
