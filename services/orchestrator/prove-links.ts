import { TierbedError } from '../../base/errors.js';
import { assertLinks, verifyLinks } from '../link/verify.js';
import type { ResolvedStudy } from './resolve.js';
import type { ResultsFolder } from './results-folder.js';
import type { RunOptions } from './run.js';
import type { Testbed } from './runtimes/runtime.js';

/**
 * Measures the links against what the study sets and writes links.json, one entry for the run and one for each time
 * that it was resumed.
 *
 * @throws TierbedError `refused` with a table of set and measured when a link is out of tolerance; `cancelled`
 */
export async function proveLinks(
  folder: ResultsFolder,
  { file, links }: ResolvedStudy,
  testbed: Testbed,
  { progress, signal, observer }: Pick<RunOptions, 'progress' | 'signal' | 'observer'>,
): Promise<void> {
  const { ms, percent } = file.study.linkTolerance;
  const verified = verifyLinks(testbed.links, links, { progress, toleranceMs: ms, tolerancePct: percent });
  const report = await Promise.race([verified, stopped(signal)]).catch((error: unknown) => {
    // The measurement that nobody waits for ends with an error when the links are closed.
    verified.catch(() => {});
    throw error;
  });
  const before = ((await folder.readJson('links')) ?? { runs: [] }) as { runs: unknown[] };
  await folder.writeJson('links', {
    set: links,
    runs: [...before.runs, { time: new Date().toISOString(), ...report }],
  });
  observer?.proved?.(report, links);
  assertLinks(report);
}

function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new TierbedError('cancelled', 'the run was stopped'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
