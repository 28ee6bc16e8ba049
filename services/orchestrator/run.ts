import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { SampleRow } from '../../analysis/columns.js';
import type { StrategyIdentity, Summary } from '../../analysis/summary.js';
import { TierbedError } from '../../base/errors.js';
import { type Progress, silent } from '../../base/progress.js';
import { metricOf } from '../../workloads/metrics/index.js';
import { calibrate } from './calibration.js';
import { conclude } from './conclude.js';
import { deploy } from './deploy.js';
import { driveWithEvents } from './drive-with-events.js';
import { describeEnd, describeRun } from './environment.js';
import { addEnvironment, addToEnvironment, interruptionsKeeper } from './environment-file.js';
import { howToGoOn } from './how-to-go-on.js';
import { chainOf } from './placements.js';
import { drawPlan } from './plan.js';
import { type PlanFile, planFile } from './plan-file.js';
import { proveLinks, proveLinksAfter } from './prove-links.js';
import { countRecorded } from './recorded.js';
import { Recorder } from './recorder.js';
import { recoverer } from './recover.js';
import { type ChosenItem, type ResolvedStudy, resolveStudy } from './resolve.js';
import { ResultsFolder } from './results-folder.js';
import type { Judge } from './row.js';
import type { RunObserver } from './run-observer.js';
import type { Runtime } from './runtimes/runtime.js';
import { assertSame } from './same-study.js';
import { sampleRunner } from './sample-runner.js';
import { type StudyFile, scaledTiers } from './study.js';
import { StudyEvents } from './study-events.js';
import { studyAsYaml } from './study-yaml.js';
import type { TierSet } from './tiers.js';
import { warmUp } from './warm-up.js';

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
      await driveWithEvents(events, last, signal, {
        ...{ ...common, strategies, progress, recover },
        plan: order,
        total: plan.samples,
        items: study.workloads.map(({ items }) => items),
        payload: study.file.study.payload,
        judgeOf: judgesOf(study),
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

/** The metric's word on each workload's predictions. */
function judgesOf({ workloads }: ResolvedStudy): (workload: string) => Judge {
  const judges = new Map(workloads.map(({ workload }) => [workload.name, metricOf(workload).correct]));
  return (workload) => judges.get(workload) as Judge;
}

function firstItem({ workloads }: ResolvedStudy, strategy: StrategyIdentity): ChosenItem {
  return workloads.find(({ workload }) => workload.name === strategy.workload)?.items[0] as ChosenItem;
}

/** @throws TierbedError `refused` at the study's key when this machine cannot hold a tier */
function assertTiers(file: StudyFile, runtime: Runtime, tiers: TierSet): void {
  const problem = runtime.checkTiers?.(tiers);
  if (!problem) return;
  const { tier, key, message, fix } = problem;
  throw file.errorAt(['tiers', tier, key], message, { fix, cause: new TierbedError('refused', message) });
}
