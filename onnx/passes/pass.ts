import type { Model } from '../model.js';

/** A rewriting of a model that leaves what it computes as it is, up to the rounding of floats. */
export interface Pass {
  /** As the facts name it. */
  readonly name: string;
  readonly run: (model: Model) => Model | Promise<Model>;
}
