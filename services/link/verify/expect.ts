import { Random } from '../../../base/random.js';
import { drawDelayMs } from '../shaping/jitter.js';
import { gilbert } from '../shaping/loss.js';
import type { Direction, DirectionSettings, LinkSettings } from '../types.js';
import { transferMs } from '../wire.js';
import { clippedNormal } from './normal.js';

/** What a direction should do to messages, over one link or several in series. */
export interface Expected {
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Fourth moment of the delay by the square of its variance: 3 for a normal one, more where its tail is heavy. */
  readonly kurtosis: number;
  readonly ratesMbps: readonly (number | undefined)[];
  /** Share of packets lost. */
  readonly loss: number;
  /** How many times wider the count of losses varies than that of independent ones: losses that come in runs say less. */
  readonly lossSpread: number;
  /** Mean number of packets lost in a row, where the settings say it. */
  readonly lossBurstPackets: number | undefined;
  /** The shortest queue on the way. */
  readonly queueBytes: number;
}

const DRAWS = 100_000;

/** What links in series do to what passes them one way. */
export function expectation(members: readonly LinkSettings[], direction: Direction): Expected {
  const all: readonly DirectionSettings[] = members.map((link) => link[direction]);
  const delays = all.map(delayMoments);
  const variance = delays.reduce((sum, { sd }) => sum + sd ** 2, 0);
  // Fourth cumulants add up.
  const excess = delays.reduce((sum, { sd, kurtosis }) => sum + (kurtosis - 3) * sd ** 4, 0);
  const [only] = all;
  return {
    delayMs: delays.reduce((sum, d) => sum + d.mean, 0),
    jitterMs: Math.sqrt(variance),
    kurtosis: variance > 0 ? 3 + excess / variance ** 2 : 3,
    ratesMbps: direction === 'up' ? all.map((s) => s.rateMbps) : all.map((s) => s.rateMbps).reverse(),
    loss: 1 - all.reduce((passed, { lossPct = 0 }) => passed * (1 - lossPct / 100), 1),
    lossSpread: Math.max(...all.map(lossSpread)),
    lossBurstPackets: all.length === 1 && only?.lossPct ? only.lossBurstPackets : undefined,
    queueBytes: Math.min(...all.map(({ queueBytes }) => queueBytes)),
  };
}

/** The least that a payload takes: its way through the limiters, and the delay. Milliseconds. */
export function leastMs(expected: Expected, bytes: number): number {
  return transferMs(bytes, expected.ratesMbps) + expected.delayMs;
}

/** The rate of the slowest link in 10^6 bit/s, or null where none is limited. */
export function rateOf(expected: Expected): number | null {
  const limits = expected.ratesMbps.filter((rate): rate is number => !!rate);
  return limits.length > 0 ? Math.min(...limits) : null;
}

/** Of the delay that a direction draws, which is never below 0. */
function delayMoments(settings: DirectionSettings): { mean: number; sd: number; kurtosis: number } {
  const { delayMs, jitterMs, jitterDistribution = 'normal' } = settings;
  if (jitterMs === 0 || jitterDistribution === 'normal') return { ...clippedNormal(delayMs, jitterMs), kurtosis: 3 };
  const random = new Random(1);
  const draws = Float64Array.from({ length: DRAWS }, () => drawDelayMs(settings, random));
  const mean = draws.reduce((sum, d) => sum + d, 0) / DRAWS;
  const second = draws.reduce((sum, d) => sum + (d - mean) ** 2, 0) / DRAWS;
  const fourth = draws.reduce((sum, d) => sum + (d - mean) ** 4, 0) / DRAWS;
  return { mean, sd: Math.sqrt(second), kurtosis: fourth / second ** 2 };
}

/**
 * For a two-state Markov chain whose states have the correlation c from one packet to the next, the variance of the count
 * is (1 + c) / (1 - c) times that of independent losses.
 */
function lossSpread({ lossPct = 0, lossBurstPackets }: DirectionSettings): number {
  if (lossBurstPackets === undefined || lossPct <= 0 || lossPct >= 100) return 1;
  const { enter, leave } = gilbert(lossPct, lossBurstPackets);
  const correlation = 1 - leave - enter;
  return Math.max(1, (1 + correlation) / (1 - correlation));
}
