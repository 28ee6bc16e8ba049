import type { GraphBuilder, Value } from '../../onnx/build.js';
import { DATA_TYPE } from '../../onnx/model.js';

/** A way to make one row of features from a tensor, for a linear head behind it. */
export interface FeatureForm {
  /** In words, for the manifest. */
  readonly name: string;
  /** Features a row has. */
  readonly count: number;
  /** Adds the nodes that make the features, float32 [N, count], from the tensor. */
  build(g: GraphBuilder, x: Value, prefix: string): Value;
}

/** A head is fitted by a decomposition whose work grows with the cube of this. */
const MOST_FEATURES = 1024;

/** Sides of the grids of cells that a map is averaged over. */
const GRIDS = [1, 2, 3, 4];

/**
 * The forms that fit a tensor: for maps [1, C, H, W] averages over grids of cells, for sequences [1, T, D] the mean and
 * the first token, for vectors [1, D] the vector itself.
 *
 * @param shape of the tensor for one item
 * @param elemType TensorProto.DataType: only float32 has forms
 * @param opset version of ai.onnx of the graph that they are built in
 */
export function featureForms(shape: readonly number[], elemType: number, opset: number): readonly FeatureForm[] {
  if (elemType !== DATA_TYPE.float32) return [];
  return formsOf(shape, opset).filter(({ count }) => count > 0 && count <= MOST_FEATURES);
}

function formsOf(shape: readonly number[], opset: number): readonly FeatureForm[] {
  const [, a = 0, b = 0, c = 0] = shape;
  switch (shape.length) {
    case 2:
      return [{ name: 'the tensor itself', count: a, build: (_, x) => x }];
    case 3:
      return [
        { name: 'mean over the tokens', count: b, build: (g, x, prefix) => meanOfTokens(g, x, prefix, opset) },
        {
          name: 'first token, and mean over the tokens',
          count: 2 * b,
          build(g, x, prefix) {
            const first = g.node('Gather', [x, g.int64(0)], { axis: 1 }, `${prefix}.first`);
            return g.node('Concat', [first, meanOfTokens(g, x, prefix, opset)], { axis: 1 }, `${prefix}.features`);
          },
        },
      ];
    case 4:
      return GRIDS.filter((side) => side <= Math.min(b, c)).map((side) => cells(a, b, c, side));
    default:
      return [];
  }
}

function meanOfTokens(g: GraphBuilder, x: Value, prefix: string, opset: number): Value {
  const name = `${prefix}.mean`;
  return opset >= 18
    ? g.node('ReduceMean', [x, g.int64([1])], { keepdims: 0 }, name)
    : g.node('ReduceMean', [x], { axes: [1], keepdims: 0 }, name);
}

/** Averages over side x side cells that overlap where the map's side is no multiple. */
function cells(channels: number, height: number, width: number, side: number): FeatureForm {
  const strides = [Math.floor(height / side), Math.floor(width / side)] as const;
  const kernel = [height - (side - 1) * strides[0], width - (side - 1) * strides[1]];
  return {
    name: side === 1 ? 'mean over the map' : `means over ${side} x ${side} cells`,
    count: channels * side * side,
    build(g, x, prefix) {
      const pooled = g.node('AveragePool', [x], { kernel_shape: kernel, strides: [...strides] }, `${prefix}.cells`);
      return g.node('Flatten', [pooled], { axis: 1 }, `${prefix}.features`);
    },
  };
}
