/** What an optimiser is told of a step. */
export interface UpdateOptions {
  readonly rate: number;
  /** Weight decay; 0 for weights that have none. */
  readonly decay: number;
  /** What gradients are multiplied by first: below 1 where their norm is clipped. */
  readonly scale: number;
  /** From 0. */
  readonly step: number;
}

/** How weights follow their gradients: one file each, and a line in `index.ts`. */
export interface Optimizer {
  /** Arrays of a weight's size that it keeps for each weight, zero at first. */
  readonly slots: number;
  /** Changes a weight, and what is kept for it, in place. All arrays have one length. */
  update(weight: Float32Array, gradient: Float32Array, slots: readonly Float32Array[], options: UpdateOptions): void;
}
