import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import type { RegisterCommand } from '../command.js';
import { type ComposeConfig, composeConfig } from '../compose/config.js';
import { compose } from '../compose/docker.js';
import { explainDocker } from '../compose/explain.js';
import { lastWords, wordsText } from '../compose/last-words.js';
import { checkDocker, checkPorts, checkRoom } from '../compose/preflight.js';
import { composeServices } from '../compose/services.js';
import { SOURCES_ARGUMENT, sourcesDigest, sourcesOfImage } from '../compose/sources.js';
import { json } from '../json.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';

interface Options {
  readonly build?: boolean;
  readonly wait: boolean;
  readonly grafana?: boolean;
  readonly anyway?: boolean;
  readonly keep?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** `tierbed up`: the testbed in Docker. */
export const register: RegisterCommand = (program) => {
  program
    .command('up')
    .description('start the testbed in Docker: three throttled tiers on shaped links (docker compose up)')
    .option('--build', 'build the image anew, also where its code is that of this folder')
    .option('--no-build', 'start the image that is there, also where its code is older')
    .option('--no-wait', 'do not wait until everything is ready')
    .option('--grafana', 'with Grafana')
    .option('--anyway', 'start although the machine has less than the tiers ask for')
    .option('--keep', 'leave what was started for a look when something does not become ready')
    .option('--json', 'print what is to be opened where as JSON')
    .option('--quiet', 'show no progress')
    .addHelpText(
      'after',
      `
The image is built where there is none, and built anew when the code has changed since.
Ports and addresses are moved by variables: TIERBED_API_PORT, TIERBED_PROMETHEUS_PORT, TIERBED_GRAFANA_PORT, TIERBED_NET.

Examples:
  tierbed up
  tierbed up --build --grafana
  TIERBED_API_PORT=7071 tierbed up
  tierbed run studies/quickstart.yaml --runtime docker     when it is up`,
    )
    .action(up);
};

async function up(options: Options): Promise<void> {
  const { signal, dispose } = stopSignal();
  const progress = createProgress(process.stderr, { quiet: options.quiet === true });
  try {
    const profiles = options.grafana ? ['--profile', 'grafana'] : [];
    progress.start('looking at Docker');
    await checkDocker(signal);
    const config = await composeConfig(profiles, signal);
    const before = await composeServices(signal);
    const running = new Set(before.filter(({ state }) => state === 'running').map(({ service }) => service));
    await checkPorts(config.ports.filter(({ service }) => !running.has(service)));
    if (!options.anyway) await checkRoom(signal);
    const code = await codeOfImage(config, running.size > 0, options, signal);
    progress.stop();
    const startedMs = performance.now();
    const building = { ...options, build: options.build === true || code.state === 'built' };
    await start(profiles, building, before.length > 0, code.sources, progress, signal);
    const already = config.services.every((service) => running.has(service)) && !building.build;
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    process.stdout.write(
      options.json
        ? json({ already, seconds, code: code.state, ports: config.ports })
        : opened(config, already, seconds, code.state),
    );
  } finally {
    progress.stop();
    dispose();
  }
}

/** What code a started testbed has: that of this folder, built before (`current`) or now (`built`), or that of an older build. */
type Code = 'current' | 'built' | 'older';

/**
 * Looks what an image was built of. A testbed that is up is left as it is: building anew would end what it is doing.
 */
async function codeOfImage(
  { image }: ComposeConfig,
  isUp: boolean,
  { build }: Options,
  signal: AbortSignal,
): Promise<{ readonly sources: string | undefined; readonly state: Code }> {
  const sources = await sourcesDigest();
  const built = image === undefined ? undefined : await sourcesOfImage(image, { signal });
  if (build === true || (image !== undefined && built === undefined)) return { sources, state: 'built' };
  if (sources === undefined || built === undefined || built === sources) return { sources, state: 'current' };
  return { sources, state: isUp || build === false ? 'older' : 'built' };
}

async function start(
  profiles: readonly string[],
  { build, wait, keep }: Options,
  wasThere: boolean,
  sources: string | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const args = [...profiles, 'up', '--detach', ...(wait ? ['--wait'] : []), ...(build ? ['--build'] : [])];
  const env = sources === undefined ? {} : { [SOURCES_ARGUMENT]: sources };
  progress.start(build ? 'building the image and starting the testbed' : 'starting the testbed');
  let lines = 0;
  const onLine = (line: string): void => progress.update(++lines, line.trim().slice(0, 100));
  try {
    const { code, stdout, stderr } = await compose(args, { signal, onLine, env });
    if (code === 0) return;
    const error = explainDocker('docker compose up', stderr + stdout);
    throw await failed(error, wasThere || keep === true, progress, signal);
  } catch (error) {
    if (!(error instanceof TierbedError) || error.kind !== 'cancelled') throw error;
    throw await cancelled(wasThere, progress);
  } finally {
    progress.stop();
  }
}

/** The error with what the services said that are not ready; they are taken away again unless they are to stay. */
async function failed(
  { kind, message, fix }: TierbedError,
  stays: boolean,
  progress: Progress,
  signal: AbortSignal,
): Promise<TierbedError> {
  const words = await lastWords(signal);
  const why = `${message}${wordsText(words)}`;
  const look = 'tierbed status, then tierbed logs SERVICE';
  if (stays)
    return new TierbedError(kind, why, { fix: words.length > 0 || fix === undefined ? `See why: ${look}` : fix });
  const removed = await takeAway(progress);
  return new TierbedError(
    kind,
    `${why}\n${removed ? 'What was started is taken away again.' : 'Some containers are left.'}`,
    {
      fix: [
        words.length > 0 ? `Mend what is said there; to have a look at it: tierbed up --keep, ${look}` : fix,
        removed ? '' : 'Remove what is left with: tierbed down',
      ]
        .filter(Boolean)
        .join(' '),
    },
  );
}

async function takeAway(progress: Progress): Promise<boolean> {
  progress.start('taking away what was started');
  const { code } = await compose(['--profile', '*', 'down', '--remove-orphans']);
  return code === 0;
}

/** Half a testbed is of no use: what was not there before is taken away again. */
async function cancelled(wasThere: boolean, progress: Progress): Promise<TierbedError> {
  if (wasThere) {
    return new TierbedError('cancelled', 'stopped; some services may not be ready', { fix: 'Go on with: tierbed up' });
  }
  if (await takeAway(progress)) return new TierbedError('cancelled', 'stopped; nothing is left running');
  return new TierbedError('cancelled', 'stopped; some containers are left', { fix: 'Remove them with: tierbed down' });
}

const NAMES: Readonly<Record<string, string>> = {
  orchestrator: 'API (openapi.json, docs/api.md)',
  prometheus: 'Prometheus',
  grafana: 'Grafana',
};

const CODE: Readonly<Record<Code, string>> = {
  current: '',
  built: 'Its image was built now, of the code in this folder.\n',
  older: 'Its code is older than that in this folder. To have that:  tierbed down && tierbed up\n',
};

function opened({ ports }: ComposeConfig, already: boolean, seconds: number, code: Code): string {
  const urls = ports.map(({ service, address, port }) => `  http://${address}:${port}  ${NAMES[service] ?? service}\n`);
  return [
    already ? 'The testbed is up already.\n' : `The testbed is up (${seconds} s).\n`,
    ...urls,
    CODE[code],
    '\nRun a study on it:   tierbed run studies/quickstart.yaml --runtime docker\n',
    'Look at it:          tierbed status\n',
    'Take it down again:  tierbed down\n',
  ].join('');
}
