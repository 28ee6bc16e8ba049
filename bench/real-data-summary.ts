// The table of bench:real-data, from the lines of what was found.
import { differenceOf, type Mean, meanOf } from './real-data-intervals.js';
import { found, type Line, type Side } from './real-data-runs.js';
import { median, type Row } from './report.js';

/** A row to make: the recipe as it is now. */
export interface Wanted {
  readonly data: string;
  readonly operator: string;
  readonly key: string;
}

/**
 * A row for each wanted recipe: accuracies in percent, each a mean over the seeds with half of its 95 % interval; what
 * PyTorch has with the same recipe, and the difference. Columns of what was not found yet are null.
 *
 * @param seeds those that may count
 */
export function summary(lines: readonly Line[], wanted: readonly Wanted[], seeds: readonly number[]): Row[] {
  return wanted.map((recipe): Row => {
    const own = accuracies(lines, recipe, seeds, 'tierbed');
    const theirs = accuracies(lines, recipe, seeds, 'pytorch');
    const runs = seeds.flatMap((seed) => found(lines, 'accuracy', { ...recipe, side: 'tierbed', seed }) ?? []);
    const times = seeds.flatMap((seed) => found(lines, 'latency', { ...recipe, side: 'tierbed', seed }) ?? []);
    const bytes = runs.flatMap((run) => run.bytes ?? []);
    return {
      ...{ data: recipe.data, operator: recipe.operator, items: runs[0]?.items ?? null },
      ...columns('accuracy', own),
      ...columns('torch', theirs),
      ...compared(own, theirs),
      kB: bytes.length > 0 ? median(bytes) / 1000 : null,
      // A machine that does other things slows both alike: the ratio of two that took turns is what can be kept.
      timesIdentity: times.length > 0 ? median(times.map(({ ms, identityMs }) => ms / identityMs)) : null,
      minutes: runs.length > 0 ? median(runs.map(({ seconds }) => seconds)) / 60 : null,
    };
  });
}

function accuracies(lines: readonly Line[], recipe: Wanted, seeds: readonly number[], side: Side): number[] {
  return seeds.flatMap((seed) => found(lines, 'accuracy', { ...recipe, side, seed })?.accuracy ?? []);
}

function columns(name: string, values: readonly number[]): Row {
  const { mean, half, n }: Mean | { mean: null; half: null; n: number } =
    values.length > 0 ? meanOf(values) : { mean: null, half: null, n: 0 };
  return { [name]: mean, [`${name}PlusMinus`]: half, [`${name}Seeds`]: n };
}

function compared(own: readonly number[], theirs: readonly number[]): Row {
  if (own.length === 0 || theirs.length === 0) return { difference: null, differencePlusMinus: null, verdict: null };
  const { mean, half } = differenceOf(own, theirs);
  const verdict = half === null ? null : verdictOf(mean, half);
  return { difference: mean, differencePlusMinus: half, verdict };
}

function verdictOf(mean: number, half: number): string {
  if (Math.abs(mean) <= half) return 'no difference beyond the intervals';
  return mean > 0 ? 'better than PyTorch' : 'worse than PyTorch';
}
