/**
 * How the share that has gone grows while the model is trained. `cubic`: fast at first, slower towards the end (Zhu and
 * Gupta, 2017, arXiv:1710.01878). `exponential`: the share that is left shrinks by the same factor each time. `once`: all
 * at its start.
 */
export type GrowthShape = 'cubic' | 'linear' | 'exponential' | 'once';

export interface PruneSchedule {
  readonly shape?: GrowthShape;
  /** The share of all steps, 0 to 1, before pruning begins; 0 unless told. */
  readonly start?: number;
  /** The share of all steps at which it has come to its end, the rest mends; 0.6 unless told. */
  readonly end?: number;
  /** Steps between one decision and the next; a fortieth of those that pruning takes unless told. */
  readonly every?: number;
}

export const GROWTH_SHAPES: readonly GrowthShape[] = ['cubic', 'linear', 'exponential', 'once'];

/** A schedule in steps. */
export interface PruneSteps {
  readonly shape: GrowthShape;
  /** The first step that prunes. */
  readonly first: number;
  /** The step that prunes last. */
  readonly last: number;
  readonly every: number;
}

/** As many decisions as a schedule has unless told, as Intel Neural Compressor's documentation recommends. */
const DECISIONS = 40;

export function pruneSteps(schedule: PruneSchedule, steps: number): PruneSteps {
  const { shape = 'cubic', start = 0, end = 0.6 } = schedule;
  const first = Math.min(steps - 1, Math.floor(start * steps));
  const last = shape === 'once' ? first : Math.min(steps - 1, Math.max(first, Math.floor(end * steps) - 1));
  const every = schedule.every ?? Math.max(1, Math.floor((last - first) / DECISIONS));
  return { shape, first, last, every };
}

/** Whether a step decides anew what goes. */
export function decides({ first, last, every }: PruneSteps, step: number): boolean {
  return step === last || (step >= first && step < last && (step - first) % every === 0);
}

/** The share that has gone after a step. @param target 0 to 1 */
export function sparsityAt({ shape, first, last }: PruneSteps, step: number, target: number): number {
  if (step < first) return 0;
  if (step >= last) return target;
  // The first decision removes something, too.
  const done = (step - first + 1) / (last - first + 1);
  if (shape === 'linear') return target * done;
  if (shape === 'exponential') return 1 - (1 - target) ** done;
  return target * (1 - (1 - done) ** 3);
}
