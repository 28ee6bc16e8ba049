import { TierbedError } from '../../base/errors.js';
import { elementCount, float32Tensor } from '../../onnx/tensor.js';
import { parseNumbers } from '../../workloads/postprocess/numbers.js';
import { partOf } from '../../workloads/prepared.js';
import type { Workload, WorkloadItem, WorkloadPart } from '../../workloads/types.js';
import { TARGETS } from './cross-entropy.js';
import type { Objective } from './types.js';

/**
 * Regression: the mean of the squared differences between an output and the numbers of the labels.
 *
 * @throws TierbedError `invalid` for a workload whose output is no numbers, or a label that is none, by its item
 */
export function meanSquaredError(workload: Workload, options: { readonly output?: string } = {}): Objective {
  const { postprocess } = workload;
  if (postprocess.kind !== 'numbers') {
    throw new TierbedError(
      'invalid',
      `mse compares numbers, and ${workload.name} has the postprocessing '${postprocess.kind}'`,
      { fix: 'Give the workload `postprocess: { kind: numbers, output: NAME }`.' },
    );
  }
  const { output = postprocess.output } = options;
  const numbers = new Map(partOf(workload, 'training' as WorkloadPart).map((item) => [item.id, numbersOf(item)]));
  let shape: readonly number[] = [];
  return {
    name: 'mse',
    identity: JSON.stringify({ output }),
    loss({ builder, batch, shapeOf }) {
      if (!builder.has(output)) throw new TierbedError('invalid', `the model has no output '${output}'`);
      shape = shapeOf(output);
      const elements = elementCount(shape);
      if (shape[0] !== batch) {
        throw new TierbedError('invalid', `'${output}' is [${shape.join(', ')}] for ${batch} items`, {
          fix: 'Export the model with a variable batch.',
        });
      }
      for (const [id, { length }] of numbers) {
        if (length * batch === elements) continue;
        throw new TierbedError(
          'invalid',
          `the training item ${id} has a label of ${length} numbers, and '${output}' gives ${elements / batch}`,
        );
      }
      const difference = builder.node('Sub', [output, builder.input(TARGETS, 'float32', shape)]);
      const squares = builder.node('Mul', [difference, difference]);
      const sum = builder.node('ReduceSum', [squares], { keepdims: 0 });
      return builder.node('Mul', [sum, builder.float32(1 / elements)], {}, 'tierbed.loss');
    },
    async feeds({ items }) {
      const values = new Float32Array(elementCount(shape));
      const each = values.length / items.length;
      for (const [i, { id }] of items.entries()) values.set(numbers.get(id) as Float64Array, i * each);
      return [{ name: TARGETS, tensor: float32Tensor(shape, values) }];
    },
  };
}

function numbersOf({ id, label }: WorkloadItem): Float64Array {
  const numbers = parseNumbers(label);
  if (numbers) return numbers;
  throw new TierbedError(
    'invalid',
    `the training item ${id} has the label '${label.slice(0, 80)}', which is no numbers`,
    {
      fix: 'Write each label as numbers with spaces between.',
    },
  );
}
