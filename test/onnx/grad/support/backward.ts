import type { Value } from '../../../../onnx/build.js';
import { GraphBuilder } from '../../../../onnx/build.js';
import { propagate } from '../../../../onnx/grad/differentiate.js';
import { staticShapes } from '../../../../onnx/grad/static-shapes.js';
import { DATA_TYPE, type Model } from '../../../../onnx/model.js';

/** A model that also gives the gradients of sum(output * weight) over its float32 outputs. */
export interface Backward {
  /** Inputs: the model's, and `weight of OUTPUT` for every float32 output, of its shape. */
  readonly model: Model;
  /** Float32 outputs with their shapes. */
  readonly outputs: ReadonlyMap<string, readonly number[]>;
  /** By tensor, the output that is its gradient; a tensor that no output depends on has none. */
  readonly gradients: ReadonlyMap<string, Value>;
}

/** The name of the input that an output is weighted with in the loss. */
export function weightOf(output: string): string {
  return `weight of ${output}`;
}

/**
 * Differentiates a model of known shapes, of ai.onnx 18 or later.
 *
 * @param wrt inputs or initializers
 */
export async function backwardOf(model: Model, wrt: readonly string[]): Promise<Backward> {
  const shapes = await staticShapes(model);
  const builder = GraphBuilder.from(model);
  const outputs = new Map<string, readonly number[]>();
  const from = new Map<Value, Value>();
  for (const { name } of model.graph.outputs) {
    const type = shapes.get(name);
    if (type?.dtype !== DATA_TYPE.float32) continue;
    const shape = type.shape as readonly number[];
    outputs.set(name, shape);
    // By way of a node: a gradient may be handed on as it is, and an input is no output.
    from.set(name, builder.node('Identity', [builder.input(weightOf(name), 'float32', shape)]));
  }
  const gradients = new Map<string, Value>();
  const given = new Set<Value>();
  for (const [name, gradient] of propagate(builder, from, wrt, { shapes })) {
    if (gradient.kind === 'rows') throw new Error(`the gradient by ${name} came as rows`);
    gradients.set(name, gradient.tensor);
    if (!given.has(gradient.tensor)) builder.output(gradient.tensor, 'float32', shapes.get(name)?.shape);
    given.add(gradient.tensor);
  }
  return { model: builder.build(), outputs, gradients };
}
