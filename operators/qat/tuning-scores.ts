import { metricOf } from '../../workloads/metrics/index.js';
import { evaluate } from '../evaluate.js';
import type { OperatorContext } from '../operator.js';
import { dropInPoints } from '../quantise/points.js';
import type { StageModel } from '../variant.js';

/** What training was worth, measured on the tuning part. */
export interface TuningFacts {
  readonly metric: string;
  readonly items: number;
  /** Of the float model, of the quantised model before training (which is what `sptq` makes), and of the result. */
  readonly scores: { readonly float: number; readonly untrained: number; readonly trained: number };
  /** Below the float model, in points. */
  readonly drops: { readonly untrained: number; readonly trained: number };
}

/**
 * The metric on the tuning part.
 *
 * @returns undefined where there is no tuning part, or no labels
 * @throws TierbedError as `evaluate`
 */
export async function tuningScore(
  model: StageModel,
  { workload, threads, progress, signal }: OperatorContext,
): Promise<{ readonly value: number; readonly items: number } | undefined> {
  if (workload.tuning.length === 0) return undefined;
  const { value, n } = await evaluate(workload, [model], 'tuning', { threads, progress, signal });
  return value === null || !Number.isFinite(value) ? undefined : { value, items: n };
}

type Measured = Awaited<ReturnType<typeof tuningScore>>;

/** The scores of three models side by side; undefined where one has none. */
export function tuningFacts(
  { workload }: OperatorContext,
  models: { readonly float: Measured; readonly untrained: Measured; readonly trained: Measured },
): TuningFacts | undefined {
  const { float, untrained, trained } = models;
  if (!float || !untrained || !trained) return undefined;
  const metric = metricOf(workload);
  const drop = (score: number): number =>
    float.value === 0 && metric.unit !== 'fraction' ? 0 : dropInPoints(metric, float.value, score);
  return {
    ...{ metric: workload.metric, items: trained.items },
    scores: { float: float.value, untrained: untrained.value, trained: trained.value },
    drops: { untrained: drop(untrained.value), trained: drop(trained.value) },
  };
}

/** Says so when training made it worse. */
export function trainingWarnings(facts: TuningFacts | undefined): string[] {
  if (!facts || facts.drops.trained <= facts.drops.untrained) return [];
  const { untrained, trained } = facts.scores;
  return [
    `training made it worse on the tuning part: ${facts.metric} ${untrained} before and ${trained} after; a lower rate, ` +
      'more epochs or `patience` may help, and sptq alone gives the former',
  ];
}
