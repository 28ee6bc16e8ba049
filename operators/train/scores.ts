import { TierbedError } from '../../base/errors.js';
import { intAttr } from '../../onnx/attribute.js';
import type { Value } from '../../onnx/build.js';
import type { LossContext } from '../../onnx/grad/training-graph.js';
import { isOnnxDomain } from '../../onnx/passes/walk.js';
import { elementCount } from '../../onnx/tensor.js';

/** One row of class scores for each item: [batch, classes]. */
export interface Scores {
  readonly value: Value;
  readonly classes: number;
  /** They are logarithms of probabilities already. */
  readonly logarithms: boolean;
}

/**
 * The scores that an output's loss is taken of: where the model ends in Softmax, what goes into it, so that the loss
 * neither rounds nor overflows.
 *
 * @throws TierbedError `invalid` when the output is not one row of scores an item
 */
export function scoresOf({ builder, batch, shapeOf }: LossContext, output: string): Scores {
  const graph = builder.buildGraph();
  const producer = graph.nodes.find(({ outputs }) => outputs.includes(output));
  if (!producer) {
    throw new TierbedError('invalid', `the model has no output '${output}'`, {
      fix: 'Name one of its outputs in `postprocess.output`.',
    });
  }
  const shape = shapeOf(output);
  const classes = shape.at(-1) ?? 1;
  if (shape[0] !== batch || elementCount(shape) !== batch * classes) {
    throw new TierbedError(
      'invalid',
      `'${output}' is [${shape.join(', ')}] for ${batch} items, not one row of scores for each of them`,
      {
        fix: 'Export the model with a variable batch (a shape inside it is fixed to one item), or train with `batch: 1`.',
      },
    );
  }
  const normalised = isOnnxDomain(producer.domain) && /^(Log)?Softmax$/.test(producer.opType);
  const axis = intAttr(producer, 'axis') ?? -1;
  const overClasses = normalised && (axis === -1 || axis === shape.length - 1);
  const source = overClasses && producer.opType === 'Softmax' ? (producer.inputs[0] as string) : output;
  const flat = shape.length === 2 ? source : builder.node('Reshape', [source, builder.int64([batch, classes])]);
  return { value: flat, classes, logarithms: overClasses && producer.opType === 'LogSoftmax' };
}
