import { TierbedError } from '../../base/errors.js';
import { type Progress, silent } from '../../base/progress.js';
import { metric } from '../../workloads/metrics/index.js';
import type { Workload } from '../../workloads/types.js';
import { evaluate } from '../evaluate.js';
import type { StageModel } from '../variant.js';
import { leastThatHolds } from './guard/prefix.js';
import { Sample } from './guard/sample.js';
import { rankedUnits, type Unit } from './guard/units.js';
import { dropInPoints, type MetricScale } from './points.js';

export interface GuardOptions {
  /** Its tuning part is what is measured on. */
  readonly workload: Workload;
  /** Names of the nodes that are quantised, in running order. */
  readonly nodes: readonly string[];
  readonly float: StageModel;
  /** The float model's score on the tuning part, where it is known; else it is measured. */
  readonly floatScore?: number;
  /** The quantised model with these nodes in float. One call follows another, and then its files are not used again. */
  build(excluded: ReadonlySet<string>): Promise<StageModel>;
  /** How much worse than the float model it may be, in points: see `dropInPoints`. */
  readonly maxDrop: number;
  /** Models built and measured, about: 120 unless told. */
  readonly budget?: number;
  /** 0, the default, is one for each processor. */
  readonly threads?: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Nodes that went back to float. */
export interface ExcludedNodes {
  /** More than one where the model has too many nodes to measure each. */
  readonly nodes: readonly string[];
  /** The squared error of the model's outputs as a share of the squared outputs when these nodes alone are quantised. */
  readonly outputError: number;
  /** What quantising these as well was measured to cost, in points; undefined when the budget did not last. */
  readonly costPoints: number | undefined;
}

/** What the guard measured, for the manifest. */
export interface GuardFacts {
  readonly metric: string;
  /** Tuning items. */
  readonly items: number;
  readonly maxDrop: number;
  /** Scores on the tuning part: of the float model, with every node quantised, and of the result. */
  readonly scores: { readonly float: number; readonly quantised: number; readonly guarded: number };
  /** In points. */
  readonly drops: { readonly quantised: number; readonly guarded: number };
  /** How many models were built and measured. */
  readonly models: number;
  readonly excluded: readonly ExcludedNodes[];
}

export interface Guarded {
  /** Names of the nodes that go back to float. */
  readonly excluded: ReadonlySet<string>;
  readonly facts: GuardFacts;
}

/**
 * Finds which nodes must stay in float for a quantised model to be at most `maxDrop` points worse than the float model.
 *
 * Nodes are ranked by what quantising each alone does to the outputs, which a few items show and the metric would not. The
 * first of that order go back to float, as many as it takes for the metric to hold on the whole tuning part. Of these, from
 * the least sensitive on, those that the metric does not need in float are quantised again while the budget lasts.
 *
 * @throws TierbedError `missing` when the tuning part is empty; `invalid` when the metric has no value; `refused` when the
 *   drop is too large even with all nodes in float; `cancelled`; whatever `build` throws
 */
export async function guard(options: GuardOptions): Promise<Guarded> {
  const { workload, nodes, float, maxDrop, budget = 120, threads = 0, progress = silent, signal } = options;
  const trials = new Trials(options, await floatScore(options));
  const whole = await trials.of([]);
  if (whole.holds) return trials.result([], whole, whole);
  const sample = await Sample.of(float, workload, threads, signal);
  const forRanking = Math.max(2, Math.floor((budget * 2) / 3));
  progress.start('measuring how sensitive nodes are', Math.min(nodes.length, forRanking));
  let ranked: readonly Unit[];
  try {
    let done = 0;
    ranked = await rankedUnits(nodes, forRanking, async (quantised) => {
      const kept = new Set(quantised);
      const error = await sample.errorOf(await trials.build(nodes.filter((node) => !kept.has(node))));
      progress.update(++done, quantised[0]);
      return error;
    });
  } finally {
    progress.stop();
  }
  const count = await leastThatHolds(ranked.length, async (n) => (await trials.of(ranked.slice(0, n))).holds);
  if (count === undefined) throw notEvenInFloat(await trials.of(ranked), trials, maxDrop);
  let excluded = ranked.slice(0, count);
  const costs = new Map<Unit, number>();
  for (const unit of excluded.toReversed()) {
    if (trials.models >= budget) break;
    const without = excluded.filter((other) => other !== unit);
    const trial = await trials.of(without);
    if (trial.holds) excluded = without;
    else costs.set(unit, trial.drop - (await trials.of(excluded)).drop);
  }
  return trials.result(excluded, whole, await trials.of(excluded), costs);
}

/** One model measured. */
interface Trial {
  readonly score: number;
  /** Points below the float model. */
  readonly drop: number;
  /** Whether the drop is allowed. */
  readonly holds: boolean;
  readonly items: number;
}

/** Models with some nodes in float, each built and measured once. */
class Trials {
  /** How many models were built. */
  models = 0;
  readonly floatScore: number;
  readonly #options: GuardOptions;
  readonly #measured = new Map<string, Trial>();

  constructor(options: GuardOptions, floatScore: number) {
    this.#options = options;
    this.floatScore = floatScore;
  }

  build(excluded: readonly string[]): Promise<StageModel> {
    if (this.#options.signal?.aborted) throw new TierbedError('cancelled', 'guarding the accuracy was cancelled');
    this.models++;
    return this.#options.build(new Set(excluded));
  }

  /** Measures the model with these in float on the whole tuning part. */
  async of(units: readonly Unit[]): Promise<Trial> {
    const excluded = units.flatMap((unit) => unit.nodes);
    const key = JSON.stringify(excluded.toSorted());
    const known = this.#measured.get(key);
    if (known) return known;
    const { score, items } = await scoreOf(
      this.#options,
      await this.build(excluded),
      `${excluded.length} nodes in float`,
    );
    const drop = dropInPoints(scaleOf(this.#options.workload), this.floatScore, score);
    // A drop of exactly what is allowed must not fail by rounding.
    const trial = { score, items, drop, holds: drop <= this.#options.maxDrop + 1e-9 };
    this.#measured.set(key, trial);
    return trial;
  }

  result(
    units: readonly Unit[],
    quantised: Trial,
    guarded: Trial,
    costs: ReadonlyMap<Unit, number> = new Map(),
  ): Guarded {
    const { workload, maxDrop } = this.#options;
    return {
      excluded: new Set(units.flatMap(({ nodes }) => nodes)),
      facts: {
        ...{ metric: workload.metric, items: quantised.items, maxDrop },
        scores: { float: this.floatScore, quantised: quantised.score, guarded: guarded.score },
        drops: { quantised: quantised.drop, guarded: guarded.drop },
        models: this.models,
        excluded: units.map((unit) => ({
          ...{ nodes: unit.nodes, outputError: unit.error, costPoints: costs.get(unit) },
        })),
      },
    };
  }
}

async function floatScore(options: GuardOptions): Promise<number> {
  const { workload, float } = options;
  if (workload.tuning.length === 0) {
    throw new TierbedError('missing', `the workload '${workload.name}' has no tuning items to guard its accuracy on`, {
      fix: 'Give it a part for tuning: `split: { tuning: 200, ... }` in the workload; or leave out `maxDrop`.',
    });
  }
  return options.floatScore ?? (await scoreOf(options, float, 'the float model')).score;
}

async function scoreOf(
  { workload, threads = 0, progress = silent, signal }: GuardOptions,
  model: StageModel,
  what: string,
): Promise<{ score: number; items: number }> {
  const labelled: Progress = {
    start: (label, total) => progress.start(`${label}: ${what}`, total),
    update: (done, note) => progress.update(done, note),
    stop: (summary) => progress.stop(summary),
  };
  const { value, n } = await evaluate(workload, [model], 'tuning', {
    ...{ threads, progress: labelled },
    ...(signal && { signal }),
  });
  if (value !== null && Number.isFinite(value)) return { score: value, items: n };
  throw new TierbedError(
    'invalid',
    `the metric '${workload.metric}' has no value on the tuning part of ${workload.name}`,
    {
      fix: 'Give the workload labels and a metric that fits them; or leave out `maxDrop`.',
    },
  );
}

function scaleOf(workload: Workload): MetricScale {
  const { unit, better = 'higher' }: Pick<MetricScale, 'unit'> & Partial<MetricScale> = metric(workload.metric);
  return { unit, better };
}

function notEvenInFloat({ score, drop }: Trial, { floatScore }: Trials, maxDrop: number): TierbedError {
  return new TierbedError(
    'refused',
    `with every node back in float the model scores ${score} on the tuning part, and the float model ${floatScore}: ` +
      `${drop.toFixed(2)} points less, where ${maxDrop} are allowed`,
    { fix: 'Allow a larger `maxDrop`, or give the tuning part more items.' },
  );
}
