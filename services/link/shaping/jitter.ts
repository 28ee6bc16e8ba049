import type { Random } from '../../../base/random.js';
import type { JitterDistribution } from '../types.js';

/** What jitter and loss draw from: a `Random`, or a script in tests. */
export type Draws = Pick<Random, 'normal' | 'uniform'>;

/**
 * Pareto's tail ends where one draw in 4096 lies beyond: as far as the table of 4096 steps reaches that `tc` ships. With
 * shape 3 and no end, one delay in a thousand million would be a thousand standard deviations late, and hold all others.
 */
const PARETO_SHAPE = 3;
const PARETO_END = 4096 ** (1 / PARETO_SHAPE);
const PARETO_SHARE = 1 - PARETO_END ** -PARETO_SHAPE;
const PARETO_MEAN = paretoMoment(1);
const PARETO_SD = Math.sqrt(paretoMoment(2) - PARETO_MEAN ** 2);

/** The weights that `tc`'s own paretonormal table gives to its two parts. */
const NORMAL_WEIGHT = 0.25;
const PARETO_WEIGHT = 0.75;
const PARETONORMAL_SD = Math.hypot(NORMAL_WEIGHT, PARETO_WEIGHT);

/** E[X^k] of the bounded Pareto distribution on [1, PARETO_END]. */
function paretoMoment(k: number): number {
  return (PARETO_SHAPE / (PARETO_SHAPE - k)) * ((1 - PARETO_END ** (k - PARETO_SHAPE)) / PARETO_SHARE);
}

const STANDARD: Readonly<Record<JitterDistribution, (random: Draws) => number>> = {
  normal: (random) => random.normal(),
  uniform: (random) => (2 * random.uniform() - 1) * Math.sqrt(3),
  pareto,
  paretonormal: (random) => (NORMAL_WEIGHT * random.normal() + PARETO_WEIGHT * pareto(random)) / PARETONORMAL_SD,
};

function pareto(random: Draws): number {
  return ((1 - random.uniform() * PARETO_SHARE) ** (-1 / PARETO_SHAPE) - PARETO_MEAN) / PARETO_SD;
}

/** A draw from the distribution of this shape whose mean is 0 and whose standard deviation is 1. */
export function standardDraw(distribution: JitterDistribution, random: Draws): number {
  return STANDARD[distribution](random);
}

/** One packet's delay in ms: mean `delayMs`, standard deviation `jitterMs`, before what is below 0 becomes 0. */
export function drawDelayMs(
  settings: {
    readonly delayMs: number;
    readonly jitterMs: number;
    readonly jitterDistribution?: JitterDistribution | undefined;
  },
  random: Draws,
): number {
  const { delayMs, jitterMs, jitterDistribution = 'normal' } = settings;
  return jitterMs > 0 ? Math.max(0, delayMs + jitterMs * standardDraw(jitterDistribution, random)) : delayMs;
}
