import { resolve } from 'node:path';
import { stateDir } from '../../base/paths.js';
import type { RegisterCommand } from '../command.js';
import { portOption } from '../port-option.js';
import { stopSignal } from '../stop-signal.js';

interface Options {
  readonly runtime: string;
  readonly host: string;
  readonly port: number;
  readonly state: string;
  readonly allowHost: readonly string[];
}

/** `tierbed serve`: the orchestrator as a service. */
export const register: RegisterCommand = (program) => {
  program
    .command('serve')
    .description('run the orchestrator as a service with an HTTP API (docs/api.md)')
    .option('--runtime <name>', 'where the nodes run: local or docker', process.env.TIERBED_RUNTIME ?? 'local')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on (0: a free one)', portOption, 7070)
    .option('--state <folder>', 'where the token, studies and results are kept', stateDir())
    .option('--allow-host <name...>', 'names by which the service is called, beside localhost and its own', [])
    .addHelpText(
      'after',
      `
When it is ready it prints one line of JSON: {"ready":true,"url","state","pid"}. Logs go to stderr.
Every call but /healthz, /readyz, /metrics and /openapi.json needs the token in the state folder's file 'token'.
SIGTERM or Ctrl-C ends it in good order, as kill -9 does in bad: the next start goes on with the study that was running.

Examples:
  tierbed serve                                    then: tierbed run STUDY --api http://127.0.0.1:7070
  tierbed serve --port 0 --state /tmp/tierbed-state
  curl -H "Authorization: Bearer $(cat ~/.local/state/tierbed/token)" http://127.0.0.1:7070/v1/status`,
    )
    .action(serve);
};

async function serve(options: Options): Promise<void> {
  const [{ findRuntime }, { startServer }, { pino }] = await Promise.all([
    import('../../services/orchestrator/index.js'),
    import('../../services/orchestrator/server/index.js'),
    import('pino'),
  ]);
  const log = pino({ base: { service: 'orchestrator' } }, pino.destination({ fd: 2, sync: true }));
  const { signal, dispose } = stopSignal();
  try {
    const server = await startServer({
      runtime: findRuntime(options.runtime),
      host: options.host,
      port: options.port,
      stateFolder: resolve(options.state),
      allowHosts: options.allowHost,
      log,
    });
    const { url, token } = server;
    if (token.fresh) {
      log.info(
        { token: token.value, file: token.path },
        `a token was made; use it with: curl -H 'Authorization: Bearer ${token.value}' ${url}/v1/status`,
      );
    }
    process.stdout.write(`${JSON.stringify({ ready: true, url, state: resolve(options.state), pid: process.pid })}\n`);
    await aborted(signal);
    log.info('ending: the next start goes on with what is running');
    await server.close();
  } finally {
    dispose();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
