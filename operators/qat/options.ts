import type { SptqOptions } from '../quantise/options.js';
import type { TrainSettings } from '../train/types.js';
import type { RangeKind } from './simulation.js';

/** Options of `qat` as they are given: those of `sptq`, from whose ranges it starts, and how it trains. */
export interface QatOptions extends SptqOptions {
  /** How ranges come about during training: `moving` unless told. */
  readonly ranges?: RangeKind;
  /** What a moving average keeps of itself in each step; 0.99 unless told. */
  readonly momentum?: number;
  readonly train?: TrainSettings;
}

/** Quantisation disturbs little: weights have a short way to go, and large steps would undo what was learned. */
const DEFAULTS: TrainSettings = { epochs: 5, optimizer: { kind: 'adamw', rate: 1e-4 } };

/**
 * How a simulation is trained.
 *
 * @param factors learned widths of ranges: these do not decay, which would only narrow them
 */
export function trainSettings(given: TrainSettings = {}, factors: readonly string[] = []): TrainSettings {
  const settings = { ...DEFAULTS, ...given };
  const { optimizer } = settings;
  if (!optimizer?.noDecay || factors.length === 0) return settings;
  return { ...settings, optimizer: { ...optimizer, noDecay: [...optimizer.noDecay, ...factors] } };
}
