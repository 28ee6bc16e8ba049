import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import type { LinearHead } from '../../ridge.js';
import type { PreprocessSpec } from '../../types.js';
import { orthogonalRows, stemWeights, wideningWeights } from './filters.js';

/** Side of the square picture that the network sees. */
const SIDE = 112;

/** Values per picture in `features`: 3 x 3 cells of 96 channels. */
export const FEATURE_COUNT = 9 * 96;

export const PICTURES_PREPROCESS: PreprocessSpec = {
  kind: 'image',
  input: 'image',
  size: SIDE,
  resizeShorter: SIDE,
  scale: 255,
  mean: [0.45, 0.45, 0.45],
  std: [0.25, 0.25, 0.25],
};

/**
 * Places where cutting the network pays: what crosses is smaller than the encoded picture (in the median 36 kB). Each is the end of
 * a residual block or the pooling behind it, so that one tensor crosses.
 */
export const PICTURES_CUTS = {
  /** [32, 14, 14] float32: 25,088 bytes, with 55 % of the multiply-adds before it. */
  one: ['block2'],
  /** Then [96, 7, 7]: 18,816 bytes. */
  two: ['block2', 'down2'],
} as const;

/**
 * The network up to `features`: edge filters by design, then four residual blocks of random orthogonal filters whose skip
 * connections keep the edges, with the mean of overlapping cells and its square root (which evens out the spread) at the end.
 */
function trunk(seed: number): GraphBuilder {
  const random = new Random(seed).fork('network');
  const g = new GraphBuilder({ name: 'pictures' });

  const conv = (
    x: Value,
    name: string,
    from: number,
    to: number,
    side: number,
    stride: number,
    w: Float32Array,
  ): Value => {
    const weight = g.weight(`${name}.weight`, [to, from, side, side], () => w);
    const bias = g.weight(`${name}.bias`, [to], () => new Float32Array(to));
    const pad = (side - 1) / 2;
    const attributes = { kernel_shape: [side, side], strides: [stride, stride], pads: [pad, pad, pad, pad] };
    return g.node('Conv', [x, weight, bias], attributes, name);
  };
  const relu = (x: Value, name: string): Value => g.node('Relu', [x], {}, name);
  const block = (x: Value, name: string, channels: number, inner: number): Value => {
    const wide = orthogonalRows(random.fork(`${name}.conv1`), inner, channels * 9, 1.6);
    const narrow = orthogonalRows(random.fork(`${name}.conv2`), channels, inner, 0.2);
    const hidden = relu(conv(x, `${name}.conv1`, channels, inner, 3, 1, wide), `${name}.relu`);
    return relu(
      g.node('Add', [x, conv(hidden, `${name}.conv2`, inner, channels, 1, 1, narrow)], {}, `${name}.add`),
      name,
    );
  };
  const halve = (x: Value, name: string): Value =>
    g.node('AveragePool', [x], { kernel_shape: [2, 2], strides: [2, 2] }, name);

  const image = g.input('image', 'float32', ['N', 3, SIDE, SIDE]);
  const stem = relu(conv(image, 'stem.conv', 3, 32, 7, 2, stemWeights(7)), 'stem');
  const pool = g.node('MaxPool', [stem], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, 'pool');
  const block2 = block(halve(block(pool, 'block1', 32, 96), 'down1'), 'block2', 32, 128);
  const widen = relu(
    conv(block2, 'widen.conv', 32, 96, 3, 1, wideningWeights(random.fork('widen'), 32, 96, 1.4)),
    'widen',
  );
  const block4 = block(halve(block(widen, 'block3', 96, 128), 'down2'), 'block4', 96, 192);
  const cells = g.node('AveragePool', [block4], { kernel_shape: [3, 3], strides: [2, 2] }, 'cells');
  g.node('Sqrt', [g.node('Flatten', [cells], { axis: 1 }, 'flat')], {}, 'features');
  return g;
}

/** The network with `features` [N, 864] as its output: what the head is fitted on. */
export function featureModel(seed: number): Model {
  const g = trunk(seed);
  g.output('features', 'float32', ['N', FEATURE_COUNT]);
  return g.build();
}

/** The whole network, from its feature model: `image` [N, 3, 112, 112] in, `logits` [N, classes] out. */
export function withHead(features: Model, head: LinearHead, metadata: Readonly<Record<string, string>>): Model {
  const g = GraphBuilder.from({ ...features, graph: { ...features.graph, outputs: [] } });
  const classes = head.bias.length;
  const weight = g.weight('head.weight', [classes, FEATURE_COUNT], () => Float32Array.from(head.weights));
  const bias = g.weight('head.bias', [classes], () => Float32Array.from(head.bias));
  g.output(g.node('Gemm', ['features', weight, bias], { transB: 1 }, 'logits'), 'float32', ['N', classes]);
  return { ...g.build(), metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })) };
}
