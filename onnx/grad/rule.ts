import type { Value } from '../build.js';
import type { GradNode } from './grad-node.js';

/** How to differentiate a family of operators: one file, one entry in `onnx/grad/index.ts`. */
export interface GradRule {
  /** Of the domain ai.onnx, unless `domain` says otherwise. */
  readonly opTypes: readonly string[];
  readonly domain?: string;
  /**
   * The gradients of the loss by the node's inputs, in their order, from those by its outputs. undefined: there is none,
   * as for indices and shapes, or nobody wants it (`at.wants(i)`).
   *
   * @throws TierbedError `invalid` when the node's form has no rule
   */
  gradient(at: GradNode): readonly (Value | undefined)[];
}
