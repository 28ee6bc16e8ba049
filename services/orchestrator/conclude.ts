import { readSamples } from '../../analysis/samples-csv.js';
import { writeSamplesParquet } from '../../analysis/samples-parquet.js';
import { type Summary, summarise } from '../../analysis/summary.js';
import type { LinksAfterwards } from '../../analysis/validity.js';
import { version } from '../../base/paths.js';
import type { Progress } from '../../base/progress.js';
import { metric, metricOf } from '../../workloads/metrics/index.js';
import type { LinkFigure } from '../link/verify.js';
import { leastOf, physicsToleranceMs } from './crossings.js';
import { diskError } from './disk-error.js';
import type { RunEnvironment } from './environment.js';
import { readEnvironments } from './environment-file.js';
import type { PlanFile } from './plan-file.js';
import { type LinkProof, readProofs } from './prove-links.js';
import type { ResolvedStudy } from './resolve.js';
import type { ResultsFolder } from './results-folder.js';
import { readEvents } from './study-events.js';

/**
 * Turns the rows into samples.parquet and summary.json.
 *
 * @throws TierbedError `exhausted` when the disk is full; what the reading of the folder throws
 */
export async function conclude(
  folder: ResultsFolder,
  study: ResolvedStudy,
  plan: PlanFile,
  progress: Progress,
): Promise<Summary> {
  const csv = folder.file('samples');
  progress.start('writing the results');
  try {
    await writeSamplesParquet(folder.file('parquet'), readSamples(csv), {
      study: study.file.study.name,
      tierbed: version,
    });
    const metricOfWorkload = (name: string) => {
      const chosen = study.workloads.find(({ workload }) => workload.name === name);
      return chosen ? metricOf(chosen.workload) : metric('none');
    };
    const { events, links, missedAtS } = await readEvents(folder);
    const proofs = await readProofs(folder);
    const { notes, ...ofRows } = await summarise(
      readSamples(csv),
      plan.strategies,
      metricOfWorkload,
      {
        planned: plan.samples,
        leastMs: leastOf(links),
        toleranceMs: physicsToleranceMs(proofs.map(({ driver }) => driver.name)),
        linksAfterwards: proofs.filter(({ when }) => when === 'after').map(linksAfterwards),
      },
      events,
    );
    const runs = await readEnvironments(folder);
    const summary: Summary = {
      study: study.file.study.name,
      startedAt: runs[0]?.time ?? '',
      finishedAt: new Date().toISOString(),
      ...ofRows,
      unreadable: study.workloads.flatMap(({ workload, unreadable }) =>
        unreadable.map(({ id, reason }) => ({ workload: workload.name, item: id, reason })),
      ),
      notes: [
        ...new Set([
          ...runs.flatMap((run) => run.notes),
          ...resumedNote(runs),
          ...interruptionNotes(runs),
          ...missedNote(missedAtS),
          ...notes,
        ]),
      ],
    };
    await folder.writeJson('summary', summary);
    return summary;
  } catch (error) {
    throw diskError(error, folder.path);
  } finally {
    progress.stop();
  }
}

function interruptionNotes(runs: readonly RunEnvironment[]): string[] {
  return runs
    .flatMap(({ interruptions = [] }) => interruptions)
    .map(
      ({ what, why, at, tookMs }) =>
        `${what} was lost at ${at} (${why}) and ${tookMs === null ? 'was not back when the run ended' : `back after ${(tookMs / 1000).toFixed(1)} s`}`,
    );
}

function linksAfterwards({ ok, figures }: LinkProof): LinksAfterwards {
  const wrong = figures.filter((figure) => !figure.ok);
  const beyond = ({ measured, set, tolerance }: LinkFigure): number =>
    Math.abs(measured - (set ?? measured)) / tolerance;
  const [worst] = wrong.toSorted((a, b) => beyond(b) - beyond(a));
  const words = worst
    ? `${worst.link} ${worst.direction} ${worst.figure} was ${worst.measured.toFixed(3)}, set ${worst.set}`
    : '';
  return { ok, wrong: wrong.length, figures: figures.length, worst: words };
}

function missedNote(missedAtS: readonly number[]): string[] {
  if (missedAtS.length === 0) return [];
  const times = missedAtS.map((atS) => `${atS} s`).join(', ');
  return [`the study was over before what its timeline has at ${times}: give it more items or rounds`];
}

function resumedNote(runs: readonly RunEnvironment[]): string[] {
  if (runs.length < 2) return [];
  const times = runs.slice(1).map(({ time }) => time);
  return [`the run was stopped and resumed (${times.join(', ')}): environment.json has a record of each part`];
}
