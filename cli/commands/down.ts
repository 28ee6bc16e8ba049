import { TierbedError } from '../../base/errors.js';
import type { StudyView } from '../../services/orchestrator/server/api.js';
import type { RegisterCommand } from '../command.js';
import { composeConfig } from '../compose/config.js';
import { compose } from '../compose/docker.js';
import { explainDocker } from '../compose/explain.js';
import { checkDocker } from '../compose/preflight.js';
import { composeServices, type ServiceState } from '../compose/services.js';
import { testbedApi } from '../compose/testbed-api.js';
import { json } from '../json.js';
import { createProgress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';

interface Options {
  readonly volumes?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** `tierbed down`: takes the testbed away, and loses no sample. */
export const register: RegisterCommand = (program) => {
  program
    .command('down')
    .description('take the testbed down; a study that runs is stopped first, and can be resumed')
    .option('-v, --volumes', 'remove what is kept, too: studies, results, metrics, the token')
    .option('--force', 'with -v: although a study is running')
    .option('--json', 'print what was stopped as JSON')
    .option('--quiet', 'show no progress')
    .addHelpText(
      'after',
      `
Examples:
  tierbed down           studies and results stay: tierbed up brings them back
  tierbed down -v        nothing is left: no container, network or volume`,
    )
    .action(down);
};

async function down(options: Options): Promise<void> {
  const { signal, dispose } = stopSignal();
  const progress = createProgress(process.stderr, { quiet: options.quiet === true });
  try {
    await checkDocker(signal);
    progress.start('taking the testbed down');
    const before = await composeServices(signal);
    const stopped = await stopStudy(before, options, signal);
    const args = ['--profile', '*', 'down', '--remove-orphans', ...(options.volumes ? ['--volumes'] : [])];
    let lines = 0;
    const onLine = (line: string): void => progress.update(++lines, line.trim().slice(0, 100));
    const { code, stdout, stderr } = await compose(args, { signal, onLine });
    if (code !== 0) throw explainDocker('docker compose down', stderr + stdout);
    progress.stop();
    process.stdout.write(
      options.json ? json({ wasUp: before.length > 0, stopped: stopped ?? null }) : report(before, stopped),
    );
  } finally {
    progress.stop();
    dispose();
  }
}

/** Stops the study that runs, so that its last sample is whole. */
async function stopStudy(
  services: readonly ServiceState[],
  options: Options,
  signal: AbortSignal,
): Promise<StudyView | undefined> {
  if (!services.some(({ service, state }) => service === 'orchestrator' && state === 'running')) return undefined;
  let client: Awaited<ReturnType<typeof testbedApi>>;
  try {
    client = await testbedApi(await composeConfig([], signal), signal);
  } catch (error) {
    if (signal.aborted) throw error;
    // It does not answer, so there is nobody to ask; what is recorded is on disk, and goes on when it is up again.
    return undefined;
  }
  const { study } = await client.status(signal);
  if (study === null) return undefined;
  if (options.volumes && !options.force) {
    throw new TierbedError('refused', `the study ${study.id} (${study.name}) is running, and -v removes its results`, {
      fix: 'Wait until it is over, use tierbed down without -v, or add --force.',
    });
  }
  return client.stopStudy(study.id, signal);
}

function report(before: readonly ServiceState[], stopped: StudyView | undefined): string {
  const said = before.length === 0 ? 'The testbed was not up.\n' : 'The testbed is down.\n';
  if (!stopped) return said;
  const { recorded = 0, planned = 0 } = stopped.samples ?? {};
  return `${said}The study ${stopped.id} was stopped after ${recorded} of ${planned} samples.\n  finish it with: tierbed up && tierbed study resume ${stopped.id}\n`;
}
