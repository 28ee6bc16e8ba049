import { TierbedError } from '../../base/errors.js';
import { inferValues, type TensorType } from '../infer.js';
import type { Dim, Model, ValueInfo } from '../model.js';

/**
 * A model for one size of batch: symbols in the shapes of its inputs become numbers. An input's first dimension without a
 * number is the batch.
 *
 * @param dims numbers for the other symbols, such as the length of a text
 * @throws TierbedError `invalid` when a symbol has no number
 */
export function bindBatch(model: Model, batch: number, dims: Readonly<Record<string, number>> = {}): Model {
  const weights = new Set(model.graph.initializers.map(({ name }) => name));
  const bound = (info: ValueInfo): ValueInfo => {
    if (info.type.kind !== 'tensor' || weights.has(info.name)) return info;
    const shape = info.type.shape?.map((dim, axis) => boundDim(info.name, dim, axis, batch, dims));
    return { ...info, type: { ...info.type, shape } };
  };
  const inputs = model.graph.inputs.map(bound);
  // What the file says of inner tensors and outputs is for another batch: it is worked out again.
  const outputs = model.graph.outputs.map((info) =>
    info.type.kind === 'tensor' ? { ...info, type: { ...info.type, shape: undefined } } : info,
  );
  return { ...model, graph: { ...model.graph, inputs, outputs, valueInfo: [] } };
}

function boundDim(
  input: string,
  dim: Dim,
  axis: number,
  batch: number,
  dims: Readonly<Record<string, number>>,
): number {
  if (typeof dim === 'string' && Object.hasOwn(dims, dim)) return dims[dim] as number;
  if (axis === 0 && (typeof dim !== 'number' || dim === 1)) return batch;
  if (typeof dim === 'number') return dim;
  throw new TierbedError('invalid', `dimension ${axis} of input ${input} (${dim ?? 'unknown'}) has no number`, {
    fix:
      typeof dim === 'string'
        ? `Give it one, such as the length that texts are padded to: \`dims: { ${dim}: 128 }\`.`
        : 'Export the model with a number or a name for it.',
  });
}

/** Types of all tensors of a model whose inputs have no symbols. */
export function staticShapes(model: Model): Promise<ReadonlyMap<string, TensorType>> {
  return inferValues(model);
}
