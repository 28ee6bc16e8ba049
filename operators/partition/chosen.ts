import type { Model } from '../../onnx/model.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import type { OperatorContext } from '../operator.js';
import type { Facts } from '../variant.js';

/** What a mode chooses from. */
export interface Choice {
  readonly model: Model;
  /** An item of the workload as the model takes it; undefined when there is none. */
  readonly item: readonly NamedTensor[] | undefined;
  /** Sizes of the inputs' free dimensions, of that item; those that are not named are 1. */
  readonly dims: Readonly<Record<string, number>>;
  readonly context: OperatorContext;
}

/** Where a mode cuts, and why there. */
export interface Chosen {
  readonly cuts: readonly (readonly string[])[];
  /** A sentence. */
  readonly why: string;
  /** Besides what is told of every partition. */
  readonly facts?: Facts;
}
