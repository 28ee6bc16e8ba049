import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { SampleRow } from '../../analysis/columns.js';
import { readSamples } from '../../analysis/samples-csv.js';
import { writeSamplesParquet } from '../../analysis/samples-parquet.js';
import { type StrategyIdentity, type Summary, summarise } from '../../analysis/summary.js';
import type { LinksAfterwards } from '../../analysis/validity.js';
import { TierbedError } from '../../base/errors.js';
import { version } from '../../base/paths.js';
import { type Progress, silent } from '../../base/progress.js';
import { metric } from '../../workloads/metrics/index.js';
import type { LinkSettings } from '../link/types.js';
import type { LinkFigure, LinkReport } from '../link/verify.js';
import { calibrate } from './calibration.js';
import { leastOf, physicsToleranceMs } from './crossings.js';
import { deploy } from './deploy.js';
import { diskError } from './disk-error.js';
import { type DriveOptions, drive } from './drive.js';
import { describeEnd, describeRun, type RunEnvironment } from './environment.js';
import type { FaultBoard } from './faults/fault-board.js';
import { chainOf } from './placements.js';
import { drawPlan } from './plan.js';
import { type PlanFile, planFile } from './plan-file.js';
import { type LinkProof, proveLinks, proveLinksAfter, readProofs } from './prove-links.js';
import { countRecorded } from './recorded.js';
import { Recorder } from './recorder.js';
import { recoverer } from './recover.js';
import { type ChosenItem, type ResolvedStudy, resolveStudy } from './resolve.js';
import { ResultsFolder } from './results-folder.js';
import type { Runtime, Testbed } from './runtimes/runtime.js';
import { assertSame } from './same-study.js';
import { sampleRunner } from './sample-runner.js';
import { type StudyFile, scaledTiers } from './study.js';
import { readEvents, StudyEvents } from './study-events.js';
import { studyAsYaml } from './study-yaml.js';
import type { TierSet } from './tiers.js';
import { warmUp } from './warm-up.js';

/** Sees a run from outside while it goes on, e.g. to change its links or to pass on how far it is. */
export interface RunObserver {
  /** The testbed and its faults are there, until `closed`; changes made to its links through it are recorded. */
  opened?(testbed: Testbed, faults: FaultBoard): void;
  closed?(): void;
  /** A link was set, by the timeline, a fault or somebody: it is now this. */
  linkSet?(link: LinkSettings): void;
  /** The links were measured against what the study sets, whatever came of it. */
  proved?(report: LinkReport, set: readonly LinkSettings[]): void;
  /** A row is on disk: `done` of `total` are. */
  recorded?(row: SampleRow, done: number, total: number): void;
}

export interface RunOptions {
  /** The folder of a new run; by default results/NAME-TIME. */
  readonly out?: string | undefined;
  /** The folder of a run to be finished. */
  readonly resume?: string | undefined;
  readonly runtime: Runtime;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly observer?: RunObserver;
  /** What to type to finish the run when it was stopped; by default `tierbed run` with --resume. */
  readonly finishWith?: string;
}

export interface RunResult {
  readonly summary: Summary;
  /** The results folder. */
  readonly folder: string;
}

/** Requests of each strategy after nodes began anew. */
const WARM_UP_AGAIN = 2;

/** A sample that fails while a fault is in force takes at least this long, or the hop's deadline where that is shorter. */
const FAULTY_PACE_MS = 1_000;

/** environment.json. */
interface Environment {
  /** Of the run and, in order, of each time that it was resumed. */
  readonly runs: readonly RunEnvironment[];
}

/**
 * Runs a study, or finishes one that was stopped: resolve, plan, prove the links, deploy, drive, record, summarise.
 * Whatever ends it, the recorded samples stay, and nothing is left running.
 *
 * @throws TierbedError of the kind that says why it could not go on; its `fix` says how to go on where that is possible
 */
export async function runStudy(file: StudyFile, options: RunOptions): Promise<RunResult> {
  const study = await resolveStudy(file, options.progress, options.signal);
  const plan = planFile(study);
  const folder = await (options.resume === undefined
    ? ResultsFolder.create(file.study.name, options.out)
    : ResultsFolder.resume(options.resume));
  try {
    if (options.resume === undefined) await begin(folder, study, plan);
    else await assertResumable(folder, study, plan);
    await measure(folder, study, plan, options);
    return { summary: await conclude(folder, study, plan, options.progress), folder: folder.path };
  } finally {
    await folder.close();
  }
}

async function begin(folder: ResultsFolder, { file }: ResolvedStudy, plan: PlanFile): Promise<void> {
  await folder.write('study', studyAsYaml(file));
  await folder.writeJson('plan', plan);
}

async function assertResumable(folder: ResultsFolder, { file }: ResolvedStudy, plan: PlanFile): Promise<void> {
  assertSame(parse(await readFile(folder.file('study'), 'utf8')), parse(studyAsYaml(file)), 'the study');
  assertSame(await folder.readJson('plan'), JSON.parse(JSON.stringify(plan)), 'what the study leads to');
}

/** Runs every sample that is not recorded yet. */
async function measure(
  folder: ResultsFolder,
  study: ResolvedStudy,
  plan: PlanFile,
  options: RunOptions,
): Promise<void> {
  const recorder = await Recorder.open(folder.file('samples'));
  let recorded = 0;
  try {
    const order = drawPlan(study.rule);
    let last: SampleRow | undefined;
    recorded = await countRecorded(folder.file('samples'), study, order, (row) => {
      last = row;
    });
    if (recorded === plan.samples) return;
    const tiers = scaledTiers(study.file.study);
    assertTiers(study.file, options.runtime, tiers);
    const testbed = await options.runtime.open({ tiers, links: study.links }, options.progress, options.signal);
    let begun = false;
    try {
      const { progress, signal } = options;
      const common = { ...sampleRunner(testbed, study.file.study.deadlineMs, signal), signal };
      const itemOf = (strategy: StrategyIdentity): ChosenItem => firstItem(study, strategy);
      const events = await StudyEvents.open(folder, study, testbed, async (tier) => {
        await deploy(study, testbed, silent, signal, [tier]);
        const strategies = study.strategies.filter(({ placement }) => chainOf(placement).some((h) => h.tier === tier));
        await warmUp({ ...common, strategies, itemOf, runs: WARM_UP_AGAIN, progress: silent });
      });
      events.onLinkSet = (link) => options.observer?.linkSet?.(link);
      options.observer?.opened?.(events.testbed, events.board);
      await proveLinks(folder, study, testbed, options);
      const calibrations = await calibrate(testbed, progress, signal);
      const deployed = await deploy(study, testbed, progress, signal);
      await addEnvironment(folder, await describeRun(study, testbed, deployed, options.runtime.name, calibrations));
      begun = true;
      const { strategies } = study;
      const warm = (runs: number) => warmUp({ ...common, strategies, itemOf, runs, progress });
      await warm(study.file.study.warmupRuns);
      const recover = recoverer({
        ...{ study, testbed, progress, signal },
        proveLinks: () => proveLinks(folder, study, testbed, options),
        warmUp: () => warm(WARM_UP_AGAIN),
        done: () => addToEnvironment(folder, { interruptions: testbed.interruptions?.() ?? [] }),
      });
      const interruptions = interruptionsKeeper(folder, testbed);
      await measureWithEvents(events, last, signal, {
        ...{ ...common, strategies, progress, recover },
        plan: order,
        total: plan.samples,
        items: study.workloads.map(({ items }) => items),
        payload: study.file.study.payload,
        faultyPaceMs: Math.min(FAULTY_PACE_MS, study.file.study.onHopFailure.hopDeadlineMs),
        record: async (row) => {
          await recorder.record(row);
          options.observer?.recorded?.(row, ++recorded, plan.samples);
          await interruptions();
        },
      });
      await proveLinksAfter(folder, study, testbed, options);
    } finally {
      options.observer?.closed?.();
      if (begun) await addToEnvironment(folder, await describeEnd(testbed)).catch(() => {});
      await testbed.close();
    }
  } catch (error) {
    const scale = study.file.study.scale === 1 ? '' : ` --scale ${study.file.study.scale}`;
    const finishWith = options.finishWith ?? `tierbed run ${study.file.path}${scale} --resume ${folder.path}`;
    throw howToGoOn(error, finishWith, folder.path, recorded, plan.samples);
  } finally {
    await recorder.close();
  }
}

/** Drives the samples while the study's events happen; whatever ends it, all of these are undone. */
async function measureWithEvents(
  events: StudyEvents,
  last: SampleRow | undefined,
  signal: AbortSignal,
  options: DriveOptions,
): Promise<void> {
  try {
    await events.begin(last);
    await drive({
      ...options,
      faultDuring: (fromUnixMs, toUnixMs) => events.during(fromUnixMs, toUnixMs),
      signal: AbortSignal.any([signal, events.signal]),
    });
  } catch (error) {
    await events.end().catch(() => {});
    throw events.signal.aborted ? events.signal.reason : error;
  }
  await events.end();
}

function firstItem({ workloads }: ResolvedStudy, strategy: StrategyIdentity): ChosenItem {
  return workloads.find(({ workload }) => workload.name === strategy.workload)?.items[0] as ChosenItem;
}

async function addEnvironment(folder: ResultsFolder, run: RunEnvironment): Promise<void> {
  const before = ((await folder.readJson('environment')) ?? { runs: [] }) as Environment;
  await folder.writeJson('environment', { runs: [...before.runs, run] });
}

/** Adds to what is on record of the run, or of the part of it, that goes on; nothing where none has begun. */
async function addToEnvironment(folder: ResultsFolder, more: Partial<RunEnvironment>): Promise<void> {
  const { runs } = ((await folder.readJson('environment')) ?? { runs: [] }) as Environment;
  const last = runs.at(-1);
  if (last) await folder.writeJson('environment', { runs: [...runs.slice(0, -1), { ...last, ...more }] });
}

/** Puts what was interrupted on record as soon as there is something new: this process may be what is lost next. */
function interruptionsKeeper(folder: ResultsFolder, testbed: Testbed): () => Promise<void> {
  let known = '';
  return async () => {
    const interruptions = testbed.interruptions?.() ?? [];
    const now = interruptions.map(({ what, tookMs }) => `${what} ${tookMs}`).join();
    if (now === known) return;
    known = now;
    await addToEnvironment(folder, { interruptions });
  };
}

/** @throws TierbedError `refused` at the study's key when this machine cannot hold a tier */
function assertTiers(file: StudyFile, runtime: Runtime, tiers: TierSet): void {
  const problem = runtime.checkTiers?.(tiers);
  if (!problem) return;
  const { tier, key, message, fix } = problem;
  throw file.errorAt(['tiers', tier, key], message, { fix, cause: new TierbedError('refused', message) });
}

/** The error of a run that ended early, with what is kept and how to finish it. */
function howToGoOn(error: unknown, finishWith: string, folder: string, recorded: number, planned: number): unknown {
  if (!(error instanceof TierbedError) || recorded === planned) return error;
  const kept = `${recorded} of ${planned} samples are recorded in ${folder}`;
  const goOn = `finish it with: ${finishWith}`;
  return new TierbedError(error.kind, `${error.message}\n  ${kept}`, {
    fix: error.kind === 'cancelled' || error.fix === undefined ? goOn : `${error.fix} Then ${goOn}`,
    cause: error,
  });
}

/** Turns the rows into samples.parquet and summary.json. */
async function conclude(
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
    const metricOf = (workload: string) =>
      metric(study.workloads.find((w) => w.workload.name === workload)?.workload.metric ?? 'none');
    const { events, links, missedAtS } = await readEvents(folder);
    const proofs = await readProofs(folder);
    const { notes, ...ofRows } = await summarise(
      readSamples(csv),
      plan.strategies,
      metricOf,
      {
        planned: plan.samples,
        leastMs: leastOf(links),
        toleranceMs: physicsToleranceMs(proofs.map(({ driver }) => driver.name)),
        linksAfterwards: proofs.filter(({ when }) => when === 'after').map(linksAfterwards),
      },
      events,
    );
    const { runs } = (await folder.readJson('environment')) as Environment;
    const summary: Summary = {
      study: study.file.study.name,
      startedAt: runs[0]?.time ?? '',
      finishedAt: new Date().toISOString(),
      ...ofRows,
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

function interruptionNotes(runs: Environment['runs']): string[] {
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

function resumedNote(runs: Environment['runs']): string[] {
  if (runs.length < 2) return [];
  const times = runs.slice(1).map(({ time }) => time);
  return [`the run was stopped and resumed (${times.join(', ')}): environment.json has a record of each part`];
}
