import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { SampleRow } from '../../analysis/columns.js';
import { readSamples } from '../../analysis/samples-csv.js';
import { writeSamplesParquet } from '../../analysis/samples-parquet.js';
import { type StrategyIdentity, type Summary, summarise } from '../../analysis/summary.js';
import { TierbedError } from '../../base/errors.js';
import { version } from '../../base/paths.js';
import type { Progress } from '../../base/progress.js';
import { metric } from '../../workloads/metrics/index.js';
import { deploy } from './deploy.js';
import { diskError } from './disk-error.js';
import { drive } from './drive.js';
import { describeRun, type RunEnvironment } from './environment.js';
import { drawPlan } from './plan.js';
import { type PlanFile, planFile } from './plan-file.js';
import { proveLinks } from './prove-links.js';
import { countRecorded } from './recorded.js';
import { Recorder } from './recorder.js';
import { type ChosenItem, type ResolvedStudy, resolveStudy } from './resolve.js';
import { ResultsFolder } from './results-folder.js';
import type { Runtime, Testbed } from './runtimes/runtime.js';
import { assertSame } from './same-study.js';
import { sampleRunner } from './sample-runner.js';
import type { StudyFile } from './study.js';
import { studyAsYaml } from './study-yaml.js';
import { warmUp } from './warm-up.js';

/** Sees a run from outside while it goes on, e.g. to change its links or to pass on how far it is. */
export interface RunObserver {
  /** The testbed is there, until `closed`. */
  opened?(testbed: Testbed): void;
  closed?(): void;
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
    recorded = await countRecorded(folder.file('samples'), study, order);
    if (recorded === plan.samples) return;
    const testbed = await options.runtime.open(
      { tiers: study.file.study.tiers, links: study.links },
      options.progress,
      options.signal,
    );
    options.observer?.opened?.(testbed);
    try {
      await proveLinks(folder, study, testbed, options);
      const deployed = await deploy(study, testbed, options.progress, options.signal);
      await addEnvironment(folder, await describeRun(study, testbed, deployed, options.runtime.name));
      const runner = sampleRunner(testbed, study.file.study.deadlineMs, options.signal);
      const common = { ...runner, strategies: study.strategies, progress: options.progress, signal: options.signal };
      await warmUp({ ...common, runs: study.file.study.warmupRuns, itemOf: (strategy) => firstItem(study, strategy) });
      await drive({
        ...common,
        plan: order,
        total: plan.samples,
        items: study.workloads.map(({ items }) => items),
        payload: study.file.study.payload,
        record: async (row) => {
          await recorder.record(row);
          options.observer?.recorded?.(row, ++recorded, plan.samples);
        },
      });
    } finally {
      options.observer?.closed?.();
      await testbed.close();
    }
  } catch (error) {
    const finishWith = options.finishWith ?? `tierbed run ${study.file.path} --resume ${folder.path}`;
    throw howToGoOn(error, finishWith, folder.path, recorded, plan.samples);
  } finally {
    await recorder.close();
  }
}

function firstItem({ workloads }: ResolvedStudy, strategy: StrategyIdentity): ChosenItem {
  return workloads.find(({ workload }) => workload.name === strategy.workload)?.items[0] as ChosenItem;
}

async function addEnvironment(folder: ResultsFolder, run: RunEnvironment): Promise<void> {
  const before = ((await folder.readJson('environment')) ?? { runs: [] }) as Environment;
  await folder.writeJson('environment', { runs: [...before.runs, run] });
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
    const { strategies, notes } = await summarise(readSamples(csv), plan.strategies, metricOf);
    const { runs } = (await folder.readJson('environment')) as Environment;
    const failed = strategies.reduce((sum, s) => sum + s.failed, 0);
    const summary: Summary = {
      study: study.file.study.name,
      startedAt: runs[0]?.time ?? '',
      finishedAt: new Date().toISOString(),
      samples: { planned: plan.samples, recorded: failed + strategies.reduce((sum, s) => sum + s.n, 0), failed },
      strategies,
      notes: [...new Set([...runs.flatMap((run) => run.notes), ...resumedNote(runs), ...notes])],
    };
    await folder.writeJson('summary', summary);
    return summary;
  } catch (error) {
    throw diskError(error, folder.path);
  } finally {
    progress.stop();
  }
}

function resumedNote(runs: Environment['runs']): string[] {
  if (runs.length < 2) return [];
  const times = runs.slice(1).map(({ time }) => time);
  return [`the run was stopped and resumed (${times.join(', ')}): environment.json has a record of each part`];
}
