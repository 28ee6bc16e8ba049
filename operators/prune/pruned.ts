import type { Model } from '../../onnx/model.js';

/** A model that was pruned, and what is to be said of it. */
export interface Pruned {
  readonly model: Model;
  readonly facts: Readonly<Record<string, unknown>>;
  /** The share of the weights of its layers that is zero, where it was pruned to zeros. */
  readonly zeros?: number;
}
