import { Random } from '../../../base/random.js';
import type { JitterDistribution } from '../types.js';

/** Entries of a table: as many as `tc`'s own have. netem draws one of them, each as likely as the others. */
const ENTRIES = 4096;
const DRAWS_PER_ENTRY = 64;

/** A table holds the spread in units of this (NETEM_DIST_SCALE), in 16 bits. */
const SCALE = 8192;
const LARGEST = 32_767 / SCALE;

/** Pareto's shape and end, and the weights of paretonormal: what `tc`'s own tables are made from. */
const PARETO_SHAPE = 3;
const PARETO_SHARE = 1 - 1 / 4096;
const NORMAL_WEIGHT = 0.25;
const PARETO_WEIGHT = 0.75;

const pareto = (random: Random): number => (1 - random.uniform() * PARETO_SHARE) ** (-1 / PARETO_SHAPE);

const DRAWS: Readonly<Record<JitterDistribution, (random: Random) => number>> = {
  normal: (random) => random.normal(),
  uniform: (random) => random.uniform(),
  pareto,
  // Each part with mean 0 and standard deviation 1, as far as it matters to their sum's shape.
  paretonormal: (random) => NORMAL_WEIGHT * random.normal() + (PARETO_WEIGHT * pareto(random)) / PARETO_SD,
};

/** Standard deviation of the Pareto distribution above. */
const PARETO_SD = (() => {
  const end = 4096 ** (1 / PARETO_SHAPE);
  const moment = (k: number) => ((PARETO_SHAPE / (PARETO_SHAPE - k)) * (1 - end ** (k - PARETO_SHAPE))) / PARETO_SHARE;
  return Math.sqrt(moment(2) - moment(1) ** 2);
})();

/** A table for `tc`, and by what the standard deviation is to be multiplied when it is named with it. */
export interface JitterTable {
  readonly table: readonly number[];
  readonly factor: number;
}

/**
 * The table of a distribution whose mean is 0 and whose standard deviation is 1 once it is multiplied by the factor.
 *
 * `tc`'s own tables end at four standard deviations, its pareto has neither that mean nor that deviation, its uniform
 * distribution is as wide as the figure says to either side, and not every installation has the files.
 *
 * @param floor how many standard deviations the delay is: no entry is below minus this, so that no delay is below 0
 */
export function jitterTable(distribution: JitterDistribution, floor: number): JitterTable {
  const entries = standard(distribution).map((z) => Math.max(z, -floor));
  const factor = Math.max(1, ...entries.map((z) => Math.abs(z) / LARGEST));
  return { table: entries.map((z) => Math.round((z / factor) * SCALE)), factor };
}

const known = new Map<JitterDistribution, readonly number[]>();

/** Ascending entries with mean 0 and standard deviation 1: the means of equal parts of many draws. */
function standard(distribution: JitterDistribution): readonly number[] {
  const made = known.get(distribution);
  if (made) return made;
  const random = new Random(1).fork(distribution);
  const draws = Float64Array.from({ length: ENTRIES * DRAWS_PER_ENTRY }, () => DRAWS[distribution](random)).sort();
  const means = Array.from({ length: ENTRIES }, (_, i) =>
    mean(draws.subarray(i * DRAWS_PER_ENTRY, (i + 1) * DRAWS_PER_ENTRY)),
  );
  const centre = mean(means);
  const sd = Math.sqrt(mean(means.map((x) => (x - centre) ** 2)));
  const entries = means.map((x) => (x - centre) / sd);
  known.set(distribution, entries);
  return entries;
}

function mean(values: ArrayLike<number> & Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
