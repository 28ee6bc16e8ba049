/** Float32 weights by name, changed in place. */
export type WeightArrays = ReadonlyMap<string, Float32Array>;

/** What decides which weights go. Decisions are never taken back. */
export interface PruneMethod {
  /** It needs gradients to decide, which come with training. */
  readonly needsGradients: boolean;
  /** What it has gathered and decided, changed in place: of a training that goes on from a checkpoint. */
  readonly state: Readonly<Record<string, Float32Array>>;
  /** Looks at the gradients of a step, before weights change. */
  observe(weights: WeightArrays, gradients: WeightArrays): void;
  /** Decides what goes, so that a share of all has gone: 0 to 1. */
  advance(sparsity: number, weights: WeightArrays): void;
  /** Sets to zero what has gone. */
  zero(weights: WeightArrays): void;
}
