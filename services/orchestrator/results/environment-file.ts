import type { Testbed } from '../runtimes/runtime.js';
import type { RunEnvironment } from './environment.js';
import type { ResultsFolder } from './results-folder.js';

/** environment.json: of the run and, in order, of each time that it was resumed. */
interface EnvironmentFile {
  readonly runs: readonly RunEnvironment[];
}

/** What environment.json has so far; nothing where none has begun. */
export async function readEnvironments(folder: ResultsFolder): Promise<readonly RunEnvironment[]> {
  return ((await folder.readJson('environment')) as EnvironmentFile | undefined)?.runs ?? [];
}

/** A run, or a resumed part of it, begins. */
export async function addEnvironment(folder: ResultsFolder, run: RunEnvironment): Promise<void> {
  await write(folder, [...(await readEnvironments(folder)), run]);
}

/** Adds to what is on record of the run, or of the part of it, that goes on; nothing where none has begun. */
export async function addToEnvironment(folder: ResultsFolder, more: Partial<RunEnvironment>): Promise<void> {
  const runs = await readEnvironments(folder);
  const last = runs.at(-1);
  if (last) await write(folder, [...runs.slice(0, -1), { ...last, ...more }]);
}

function write(folder: ResultsFolder, runs: readonly RunEnvironment[]): Promise<void> {
  return folder.writeJson('environment', { runs } satisfies EnvironmentFile);
}

/** Puts what was interrupted on record as soon as there is something new: this process may be what is lost next. */
export function interruptionsKeeper(folder: ResultsFolder, testbed: Testbed): () => Promise<void> {
  let known = '';
  return async () => {
    const interruptions = testbed.interruptions?.() ?? [];
    const now = interruptions.map(({ what, tookMs }) => `${what} ${tookMs}`).join();
    if (now === known) return;
    known = now;
    await addToEnvironment(folder, { interruptions });
  };
}
