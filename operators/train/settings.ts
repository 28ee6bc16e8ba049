import { TierbedError } from '../../base/errors.js';
import type { AugmentSpec, ScheduleSpec, TrainSettings } from './types.js';

/** How weights follow their gradients, with every number given. */
export type Optimization = {
  readonly rate: number;
  readonly weightDecay: number;
  /** Names of weights that do not decay (`*` stands for any text); undefined: biases and normalisations. */
  readonly noDecay?: readonly string[];
} & (
  | { readonly kind: 'sgd'; readonly momentum: number; readonly nesterov: boolean }
  | { readonly kind: 'adam' | 'adamw'; readonly betas: readonly [number, number]; readonly epsilon: number }
);

/** Settings with every default in its place. */
export interface Settings {
  readonly epochs: number;
  readonly batch: number;
  readonly optimizer: Optimization;
  readonly schedule: ScheduleSpec & { readonly warmupSteps: number };
  readonly clipNorm?: number;
  readonly augment: readonly AugmentSpec[];
  readonly patience?: number;
  readonly seed: number;
  readonly freeze: readonly string[];
  readonly dims: Readonly<Record<string, number>>;
}

/** Settings as they are used. Label smoothing is the objective's. @throws TierbedError `invalid` for numbers that make no sense */
export function resolveSettings(given: TrainSettings): Settings {
  const { epochs = 10, batch = 32, seed = 1, clipNorm, patience, augment = [], freeze = [], dims = {} } = given;
  const schedule = given.schedule ?? { kind: 'cosine' };
  for (const [name, value, least] of [
    ['epochs', epochs, 1],
    ['batch', batch, 1],
    ['patience', patience ?? 1, 1],
  ] as const) {
    if (!Number.isInteger(value) || value < least)
      throw wrong(`${name} is ${value}`, `Give a whole number from ${least}.`);
  }
  if (clipNorm !== undefined && !(clipNorm > 0)) throw wrong(`clipNorm is ${clipNorm}`, 'Give a number above 0.');
  return {
    ...{ epochs, batch, seed, augment, freeze, dims },
    optimizer: optimization(given.optimizer ?? { kind: 'adamw' }),
    schedule: { ...schedule, warmupSteps: schedule.warmupSteps ?? 0 },
    ...(clipNorm !== undefined && { clipNorm }),
    ...(patience !== undefined && { patience }),
  };
}

function optimization(given: NonNullable<TrainSettings['optimizer']>): Optimization {
  const { noDecay } = given;
  const shared = { ...(noDecay && { noDecay }) };
  const made: Optimization =
    given.kind === 'sgd'
      ? {
          ...shared,
          kind: 'sgd',
          rate: given.rate ?? 0.01,
          weightDecay: given.weightDecay ?? 0,
          momentum: given.momentum ?? 0.9,
          nesterov: given.nesterov ?? false,
        }
      : {
          ...shared,
          kind: given.kind,
          rate: given.rate ?? 0.001,
          weightDecay: given.weightDecay ?? (given.kind === 'adamw' ? 0.01 : 0),
          betas: given.betas ?? [0.9, 0.999],
          epsilon: given.epsilon ?? 1e-8,
        };
  if (!(made.rate > 0 && Number.isFinite(made.rate))) {
    throw wrong(`the learning rate is ${made.rate}`, 'Give a number above 0, e.g. 0.01 for sgd or 0.001 for adamw.');
  }
  if (made.kind === 'sgd' && made.nesterov && made.momentum === 0) {
    throw wrong('nesterov needs momentum', 'Give `momentum: 0.9`, or leave `nesterov` out.');
  }
  if (noDecay && made.weightDecay === 0) {
    throw wrong(
      'optimizer.noDecay names weights that do not decay, and weightDecay is 0',
      'Give a `weightDecay`, or leave `noDecay` out.',
    );
  }
  return made;
}

function wrong(message: string, fix: string): TierbedError {
  return new TierbedError('invalid', `training: ${message}`, { fix });
}
