import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import type { LinkSettings } from '../../link/types.js';
import { assertLinks, type LinkReport, verifyLinks } from '../../link/verify/verify.js';
import type { ResultsFolder } from '../results/results-folder.js';
import type { LinkTolerance, Runtime, Testbed } from '../runtimes/runtime.js';
import type { ResolvedStudy } from '../study/resolve.js';
import type { RunObserver } from './run-observer.js';

export interface ProveOptions {
  readonly runtime: Pick<Runtime, 'linkTolerance'>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly observer?: Pick<RunObserver, 'proved'>;
}

/** One proof of a run's links, as links.json has it. */
export interface LinkProof extends LinkReport {
  readonly when: 'before' | 'after';
  /** ISO 8601. */
  readonly time: string;
  /** What shaped the links, and why it was taken. */
  readonly driver: { readonly name: string; readonly why: string };
  readonly tolerance: LinkTolerance;
}

/** links.json. */
interface LinksFile {
  readonly set: readonly LinkSettings[];
  readonly runs: readonly LinkProof[];
}

/**
 * Measures the links against what the study sets and writes links.json: before the run, and each time that it is resumed.
 *
 * @throws TierbedError `refused` with a table of set and measured when a link is out of tolerance; `cancelled`
 */
export async function proveLinks(
  folder: ResultsFolder,
  study: ResolvedStudy,
  testbed: Testbed,
  options: ProveOptions,
): Promise<void> {
  assertLinks(await prove('before', folder, study, testbed, options));
}

/**
 * Measures the links again when the samples are through, and adds that to links.json. What is out of tolerance then does not
 * stop anything: it is for the caller to say that the study is not valid.
 *
 * @returns undefined when the run was stopped meanwhile: nobody waits for a measurement then
 */
export async function proveLinksAfter(
  folder: ResultsFolder,
  study: ResolvedStudy,
  testbed: Testbed,
  options: ProveOptions,
): Promise<LinkProof | undefined> {
  if (options.signal.aborted || testbed.lost()) return undefined;
  try {
    return await prove('after', folder, study, testbed, options);
  } catch (error) {
    if (options.signal.aborted || testbed.lost()) return undefined;
    throw error;
  }
}

/** What links.json has of the proofs of a run so far. */
export async function readProofs(folder: ResultsFolder): Promise<readonly LinkProof[]> {
  return ((await folder.readJson('links')) as LinksFile | undefined)?.runs ?? [];
}

async function prove(
  when: LinkProof['when'],
  folder: ResultsFolder,
  { file, links }: ResolvedStudy,
  testbed: Testbed,
  { runtime, progress, signal, observer }: ProveOptions,
): Promise<LinkProof> {
  const tolerance = { ...runtime.linkTolerance, ...file.study.linkTolerance };
  const verified = verifyLinks(testbed.links, links, {
    progress,
    toleranceMs: tolerance.ms,
    tolerancePct: tolerance.percent,
  });
  const report = await Promise.race([verified, stopped(signal)]).catch((error: unknown) => {
    // The measurement that nobody waits for ends with an error when the links are closed.
    verified.catch(() => {});
    throw error;
  });
  const proof: LinkProof = { when, time: new Date().toISOString(), driver: testbed.links.driver, tolerance, ...report };
  const runs = [...(await readProofs(folder)), proof];
  await folder.writeJson('links', { set: links, runs } satisfies LinksFile);
  observer?.proved?.(report, links);
  return proof;
}

function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new TierbedError('cancelled', 'the run was stopped'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
