import { KeyedError } from '../../base/keyed-error.js';
import { Random } from '../../base/random.js';
import type { WorkloadItem, WorkloadPart } from '../types.js';

/** How one data set becomes parts. */
export interface SplitSpec {
  /** Items of each; 0 unless said otherwise, but for `evaluation`: all that the others leave. */
  readonly training?: number;
  readonly calibration?: number;
  readonly tuning?: number;
  readonly evaluation?: number;
  /** Which items are drawn; 1 unless said otherwise. */
  readonly seed?: number;
  /** Every part has the labels in the data's proportions: where there are labels, unless said otherwise. */
  readonly stratified?: boolean;
}

export type Parts = Readonly<Record<WorkloadPart, readonly WorkloadItem[]>>;

/**
 * Draws parts that have no item in common, each in the data's order. The same seed and data give the same parts.
 *
 * @throws KeyedError `invalid` when there are not enough items, or none is left to evaluate on
 */
export function split(items: readonly WorkloadItem[], spec: SplitSpec): Parts {
  const { training = 0, calibration = 0, tuning = 0, seed = 1 } = spec;
  const others = training + calibration + tuning;
  const evaluation = spec.evaluation ?? items.length - others;
  if (evaluation < 1 || others + evaluation > items.length) {
    const named = [spec.training, calibration, tuning, spec.evaluation];
    const wanted = named.filter((count) => count !== undefined).join(' + ');
    const rest = spec.evaluation === undefined ? ', and none is left to evaluate on' : '';
    throw new KeyedError(['split'], `${wanted} items are asked for, and the data has ${items.length}${rest}`, {
      fix: 'Ask for fewer, or give more data.',
    });
  }
  const labelled = items.some(({ label }) => label !== '');
  if (spec.stratified === true && !labelled) {
    throw new KeyedError(['split', 'stratified'], 'the data has no labels to keep the proportions of', {
      fix: 'Leave stratified out, or name the labels.',
    });
  }
  const random = new Random(seed).fork('split');
  // By the first item of each label: labels that are all different make one draw of all items.
  const groups = random.shuffle([...grouped(items, (spec.stratified ?? labelled) ? ({ label }) => label : () => '')]);
  const rest = groups.map((indexes) => random.shuffle(indexes));
  const draw = (count: number): WorkloadItem[] => {
    const quotas = shares(
      rest.map(({ length }) => length),
      count,
    );
    const drawn = rest.flatMap((indexes, i) => indexes.splice(0, quotas[i]));
    return drawn.sort((a, b) => a - b).map((index) => items[index] as WorkloadItem);
  };
  // Training last: the others stay what they are when it becomes larger.
  return {
    calibration: draw(calibration),
    tuning: draw(tuning),
    evaluation: draw(evaluation),
    training: draw(training),
  };
}

function grouped(items: readonly WorkloadItem[], keyOf: (item: WorkloadItem) => string): Iterable<number[]> {
  const groups = new Map<string, number[]>();
  for (const [index, item] of items.entries()) {
    const group = groups.get(keyOf(item));
    if (group) group.push(index);
    else groups.set(keyOf(item), [index]);
  }
  return groups.values();
}

/**
 * How many of `count` fall to each group in proportion to its size, each less than one off (largest remainders; of equal
 * ones the earlier group has it).
 */
function shares(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const exact = sizes.map((size) => (total === 0 ? 0 : (count * size) / total));
  const quotas = exact.map(Math.floor);
  const missing = count - quotas.reduce((sum, quota) => sum + quota, 0);
  const remainder = (i: number): number => (exact[i] as number) - (quotas[i] as number);
  const byRemainder = sizes.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a));
  for (const i of byRemainder.slice(0, missing)) quotas[i] = (quotas[i] as number) + 1;
  return quotas;
}
