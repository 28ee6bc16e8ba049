// Every family of shape rules against the runtime: one-node models with random shapes and attributes.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Random } from '../../base/random.js';
import { float } from '../../onnx/build/attributes.js';
import { inferValues } from '../../onnx/infer.js';
import { evaluateDim } from '../../onnx/shapes/dims.js';
import {
  draw,
  draws,
  type Feed,
  feedsOf,
  list,
  type OneNode,
  oneNodeModel,
  real,
  runTypes,
  scalar,
} from '../support/one-node.js';

type Family = (r: Random) => OneNode;

const CASES = 24;
/** Families of many operators, or of many paths. */
const MORE_CASES: Readonly<Record<string, number>> = {
  'Slice by inputs': 120,
  generated: 96,
  rearranged: 72,
  indexed: 72,
  normalization: 72,
  quantized: 72,
  fused: 72,
  seldom: 120,
};

function maybe<T>(r: Random, value: T): T | undefined {
  return r.integer(2) === 0 ? value : undefined;
}

function shape(r: Random, rank: number, low = 1, high = 6): number[] {
  return draws(r, rank, low, high);
}

/** A shape that broadcasts with `base`: some dimensions 1, some in front missing. */
function broadcastable(r: Random, base: readonly number[]): number[] {
  return base.slice(r.integer(base.length + 1)).map((dim) => (r.integer(3) === 0 ? 1 : dim));
}

function signedAxis(r: Random, axis: number, rank: number): number {
  return r.integer(2) === 0 ? axis : axis - rank;
}

/** Some axes of a rank, some counted from the back. */
function someAxes(r: Random, rank: number): number[] {
  const axes = r.shuffle(Array.from({ length: rank }, (_, i) => i)).slice(0, 1 + r.integer(rank));
  return axes.map((axis) => signedAxis(r, axis, rank));
}

function typed(dtype: Feed['dtype'], dims: readonly number[], constant = false): Feed {
  return { dtype, shape: dims, constant };
}

function windowAttributes(r: Random, kernel: readonly number[], dilate = true) {
  const rank = kernel.length;
  const auto = r.pick(['NOTSET', 'NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']);
  const pads = draws(r, 2 * rank, 0, 1).map((pad, i) => Math.min(pad, (kernel[i % rank] as number) - 1));
  return {
    strides: maybe(r, draws(r, rank, 1, 3)),
    dilations: dilate && auto === 'NOTSET' ? maybe(r, draws(r, rank, 1, 2)) : undefined,
    pads: auto === 'NOTSET' ? maybe(r, pads) : undefined,
    auto_pad: auto === 'NOTSET' ? maybe(r, auto) : auto,
  };
}

function convolution(op: 'Conv' | 'ConvInteger' | 'QLinearConv'): Family {
  return (r) => {
    const rank = op === 'Conv' ? draw(r, 1, 3) : 2;
    const group = draw(r, 1, 3);
    const kernel = shape(r, rank, 1, 3);
    const x = [draw(r, 1, 3), group * draw(r, 1, 2), ...shape(r, rank, 5, 11)];
    const w = [group * draw(r, 1, 3), (x[1] as number) / group, ...kernel];
    const attributes = { group, kernel_shape: maybe(r, kernel), ...windowAttributes(r, kernel) };
    if (op === 'Conv') return { op, inputs: [real(x), real(w), maybe(r, real([w[0] as number]))], attributes };
    if (op === 'ConvInteger') return { op, inputs: [typed('uint8', x), typed('uint8', w, true)], attributes };
    const scale: Feed = { dtype: 'float32', shape: [], constant: true };
    const zero = typed('uint8', [], true);
    const inputs = [typed('uint8', x), scale, zero, typed('uint8', w, true), scale, zero, scale, zero];
    return { op, inputs, attributes };
  };
}

const transposedConvolution: Family = (r) => {
  const rank = draw(r, 1, 2);
  const group = draw(r, 1, 2);
  const kernel = shape(r, rank, 1, 4);
  const strides = draws(r, rank, 1, 3);
  const x = [draw(r, 1, 2), group * draw(r, 1, 2), ...shape(r, rank, 3, 6)];
  return {
    op: 'ConvTranspose',
    inputs: [real(x), real([x[1] as number, draw(r, 1, 3), ...kernel])],
    attributes: {
      group,
      ...windowAttributes(r, kernel),
      strides,
      output_padding: maybe(
        r,
        strides.map((stride) => r.integer(stride)),
      ),
      output_shape: r.integer(5) === 0 ? shape(r, rank, 8, 12) : undefined,
    },
  };
};

function pool(op: string): Family {
  return (r) => {
    const rank = draw(r, 1, 3);
    const kernel = shape(r, rank, 1, 3);
    const x = [draw(r, 1, 2), draw(r, 1, 3), ...shape(r, rank, 5, 11)];
    const opset = op === 'LpPool' ? 18 : r.pick([12, 17, 19]);
    const attributes = {
      kernel_shape: kernel,
      ...windowAttributes(r, kernel, op === 'MaxPool' || opset >= 18),
      ceil_mode: draw(r, 0, 1),
    };
    return { op, opset, inputs: [real(x)], attributes, outputs: op === 'MaxPool' ? draw(r, 1, 2) : 1 };
  };
}

function binary(op: string, dtype: Feed['dtype'] = 'float32'): Family {
  return (r) => {
    const base = shape(r, draw(r, 0, 4));
    const shapes = r.shuffle([base, broadcastable(r, base)]);
    return { op, inputs: shapes.map((dims) => ({ dtype, shape: dims, value: [1] })) };
  };
}

function unary(op: string, attributes = {}, opset = 17): Family {
  return (r) => ({ op, opset, inputs: [real(shape(r, draw(r, 2, 4)))], attributes });
}

function reduction(op: string, opset: number): Family {
  return (r) => {
    const rank = draw(r, 1, 4);
    const axes = maybe(r, someAxes(r, rank));
    const asInput = op === 'ReduceSum' ? opset >= 13 : opset >= 18;
    return {
      op,
      opset,
      inputs: [real(shape(r, rank)), asInput && axes ? list(axes) : undefined],
      attributes: {
        keepdims: maybe(r, draw(r, 0, 1)),
        axes: asInput ? undefined : axes,
        noop_with_empty_axes: asInput ? maybe(r, 1) : undefined,
      },
    };
  };
}

function gemm(r: Random): OneNode {
  const [m, n, k] = shape(r, 3) as [number, number, number];
  const [transA, transB] = draws(r, 2, 0, 1);
  const a = transA ? [k, m] : [m, k];
  const b = transB ? [n, k] : [k, n];
  return { op: 'Gemm', inputs: [real(a), real(b), maybe(r, real([n]))], attributes: { transA, transB } };
}

function matmulShapes(r: Random): [number[], number[]] {
  const k = draw(r, 1, 5);
  const batch = shape(r, draw(r, 0, 2));
  const a = r.integer(5) === 0 ? [k] : [...batch, draw(r, 1, 5), k];
  const b = r.integer(5) === 0 ? [k] : [...broadcastable(r, batch), k, draw(r, 1, 5)];
  return [a, b];
}

const einsum: Family = (r) => {
  const [b, i, j, k] = shape(r, 4, 2, 5) as [number, number, number, number];
  const choice = r.pick<[string, number[][]]>([
    [
      'bij,bjk->bik',
      [
        [b, i, j],
        [b, j, k],
      ],
    ],
    [
      'bij,jk',
      [
        [b, i, j],
        [j, k],
      ],
    ],
    [
      '...ij,...jk->...ik',
      [
        [b, 1, i, j],
        [k, j, k],
      ],
    ],
    [
      'bhwc,hkc->bhwk',
      [
        [b, i, j, k],
        [i, b, k],
      ],
    ],
    ['ij->ji', [[i, j]]],
    ['ii', [[i, i]]],
    ['i,j->ij', [[i], [j]]],
    ['b...->...', [[b, i, j]]],
  ]);
  return { op: 'Einsum', inputs: choice[1].map(real), attributes: { equation: choice[0] } };
};

const reshape: Family = (r) => {
  const dims = shape(r, draw(r, 1, 4), 2, 6);
  const target = [...dims];
  if (r.integer(2) === 0) target.splice(0, 2, (target[0] as number) * (target[1] ?? 1));
  if (r.integer(2) === 0) target[r.integer(target.length)] = -1;
  if (target[0] === dims[0] && r.integer(2) === 0) target[0] = 0;
  return { op: 'Reshape', inputs: [real(dims), list(target)], attributes: { allowzero: maybe(r, 0) } };
};

const slice: Family = (r) => {
  const rank = draw(r, 1, 4);
  const axes = someAxes(r, rank);
  const ends = axes.map(() => r.pick([draw(r, -8, 8), Number.MAX_SAFE_INTEGER, -2147483648]));
  const steps = axes.map(() => r.pick([1, 1, 2, 3, -1, -2]));
  const starts = draws(r, axes.length, -8, 8);
  const inputs = [real(shape(r, rank, 3, 7)), list(starts), list(ends), list(axes), list(steps)];
  return { op: 'Slice', inputs };
};

const oldSlice: Family = (r) => {
  const rank = draw(r, 1, 4);
  const axes = someAxes(r, rank);
  return {
    op: 'Slice',
    opset: 9,
    inputs: [real(shape(r, rank, 3, 7))],
    attributes: { starts: draws(r, axes.length, -3, 2), ends: draws(r, axes.length, 1, 9), axes },
  };
};

const pad: Family = (r) => {
  const rank = draw(r, 1, 4);
  const axes = r.integer(2) === 0 ? someAxes(r, rank) : undefined;
  const pads = draws(r, 2 * (axes?.length ?? rank), -1, 3);
  return { op: 'Pad', opset: 18, inputs: [real(shape(r, rank, 3, 6)), list(pads), undefined, axes && list(axes)] };
};

function squeezing(op: 'Squeeze' | 'Unsqueeze', opset: number): Family {
  return (r) => {
    const rank = draw(r, 1, 3);
    const dims = shape(r, rank, 2, 5);
    const wide = rank + draw(r, 1, 2);
    const places = r.shuffle(Array.from({ length: wide }, (_, i) => i)).slice(0, wide - rank);
    for (const place of op === 'Squeeze' ? places.sort((a, b) => a - b) : []) dims.splice(place, 0, 1);
    const axes = op === 'Squeeze' && r.integer(3) === 0 ? undefined : places.map((axis) => signedAxis(r, axis, wide));
    if (opset < 13) return { op, opset, inputs: [real(dims)], attributes: { axes } };
    return { op, opset, inputs: [real(dims), axes && list(axes)] };
  };
}

const split: Family = (r) => {
  const rank = draw(r, 1, 3);
  const axis = r.integer(rank);
  const sizes = draws(r, draw(r, 2, 3), 1, 4);
  const dims = shape(r, rank);
  dims[axis] = sizes.reduce((a, b) => a + b, 0);
  const attributes = { axis: signedAxis(r, axis, rank) };
  const outputs = sizes.length;
  const kind = r.integer(4);
  if (kind === 0) return { op: 'Split', opset: 17, inputs: [real(dims), list(sizes)], attributes, outputs };
  if (kind === 1) {
    return { op: 'Split', opset: 11, inputs: [real(dims)], attributes: { ...attributes, split: sizes }, outputs };
  }
  if (kind === 2) {
    dims[axis] = outputs * draw(r, 1, 3);
    return { op: 'Split', opset: 17, inputs: [real(dims)], attributes, outputs };
  }
  return { op: 'Split', opset: 18, inputs: [real(dims)], attributes: { ...attributes, num_outputs: outputs }, outputs };
};

const concat: Family = (r) => {
  const dims = shape(r, draw(r, 1, 4));
  const axis = r.integer(dims.length);
  const part = () => real(dims.map((dim, i) => (i === axis ? draw(r, 1, 4) : dim)));
  const inputs = Array.from({ length: draw(r, 1, 3) }, part);
  return { op: 'Concat', inputs, attributes: { axis: signedAxis(r, axis, dims.length) } };
};

const gather: Family = (r) => {
  const rank = draw(r, 1, 4);
  const indices: Feed = { dtype: 'int64', shape: shape(r, draw(r, 0, 3), 1, 3) };
  return {
    op: 'Gather',
    inputs: [real(shape(r, rank)), indices],
    attributes: { axis: maybe(r, signedAxis(r, r.integer(rank), rank)) },
  };
};

const gatherND: Family = (r) => {
  const rank = draw(r, 2, 4);
  const data = shape(r, rank);
  const batch = r.integer(2);
  const depth = draw(r, 1, rank - batch);
  const indices = [...data.slice(0, batch), ...shape(r, draw(r, 1, 2)), depth];
  return { op: 'GatherND', inputs: [real(data), typed('int64', indices)], attributes: { batch_dims: batch } };
};

const oneHot: Family = (r) => {
  const rank = draw(r, 1, 3);
  const axis = r.integer(rank + 1);
  return {
    op: 'OneHot',
    inputs: [typed('int64', shape(r, rank)), scalar(draw(r, 2, 6)), real([2])],
    attributes: { axis: maybe(r, signedAxis(r, axis, rank + 1)) },
  };
};

function recurrent(op: string, gates: number, outputs: number): Family {
  return (r) => {
    const [sequence, batch, input, hidden] = shape(r, 4, 1, 4) as [number, number, number, number];
    const direction = r.pick(['forward', 'reverse', 'bidirectional']);
    const d = direction === 'bidirectional' ? 2 : 1;
    const inputs = [
      real([sequence, batch, input]),
      real([d, gates * hidden, input]),
      real([d, gates * hidden, hidden]),
      maybe(r, real([d, 2 * gates * hidden])),
    ];
    return { op, inputs, attributes: { direction, hidden_size: hidden }, outputs };
  };
}

function resize(opset: number): Family {
  return (r) => {
    const x = [draw(r, 1, 2), draw(r, 1, 3), ...shape(r, 2, 4, 9)];
    const empty: Feed = { dtype: 'float32', shape: [0], constant: true };
    const scales = [1, 1, r.pick([0.5, 1.5, 2, 0.7, 3]), r.pick([0.5, 1.3, 2, 0.3])];
    const scaleFeed: Feed = { dtype: 'float32', shape: [4], value: scales, constant: true };
    const sizes = [...x.slice(0, 2), ...shape(r, 2, 3, 12)];
    if (opset < 11) return { op: 'Resize', opset, inputs: [real(x), scaleFeed] };
    const kind = r.integer(opset >= 18 ? 3 : 2);
    if (kind === 0) return { op: 'Resize', opset, inputs: [real(x), empty, scaleFeed] };
    if (kind === 1) return { op: 'Resize', opset, inputs: [real(x), empty, empty, list(sizes)] };
    const policy = r.pick(['stretch', 'not_larger', 'not_smaller']);
    return {
      op: 'Resize',
      opset,
      inputs: [real(x), undefined, undefined, list(sizes.slice(2))],
      attributes: { axes: [2, 3], keep_aspect_ratio_policy: policy },
    };
  };
}

const range: Family = (r) => {
  const value = [draw(r, -5, 5), draw(r, -5, 9), r.pick([1, 2, 3, -1, -2])];
  const dtype = r.pick(['int64', 'float32'] as const);
  return { op: 'Range', inputs: value.map((v) => ({ dtype, shape: [], value: [v], constant: true })) };
};

const quantized: Family = (r) => {
  const scale: Feed = { dtype: 'float32', shape: [], constant: true };
  const zero = typed('uint8', [], true);
  const base = shape(r, draw(r, 1, 4));
  const [x, y] = [
    typed('uint8', base),
    typed(
      'uint8',
      base.map((dim) => (r.integer(3) === 0 ? 1 : dim)),
    ),
  ];
  const [a, b] = matmulShapes(r);
  return r.pick<OneNode>([
    { op: 'QuantizeLinear', inputs: [real(base), scale, maybe(r, typed(r.pick(['int8', 'uint8']), [], true))] },
    { op: 'DequantizeLinear', inputs: [typed(r.pick(['int8', 'uint8']), base), scale] },
    { op: 'DynamicQuantizeLinear', inputs: [real(base)], outputs: 3 },
    { op: 'MatMulInteger', inputs: [typed('uint8', a), typed('uint8', b)] },
    {
      op: 'QLinearMatMul',
      inputs: [typed('uint8', a), scale, zero, typed('uint8', b, true), scale, zero, scale, zero],
    },
    { op: 'QLinearAdd', domain: 'com.microsoft', inputs: [x, scale, zero, y, scale, zero, scale, zero] },
    { op: 'QLinearMul', domain: 'com.microsoft', inputs: [x, scale, zero, y, scale, zero, scale, zero] },
    { op: 'QLinearSigmoid', domain: 'com.microsoft', inputs: [x, scale, zero, scale, zero] },
    {
      op: 'QLinearGlobalAveragePool',
      domain: 'com.microsoft',
      inputs: [typed('uint8', shape(r, 4)), scale, zero, scale, zero],
      attributes: { channels_last: draw(r, 0, 1) },
    },
    {
      op: 'QLinearConcat',
      domain: 'com.microsoft',
      inputs: [scale, zero, x, scale, zero, x, scale, zero],
      attributes: { axis: base.length - 1 },
    },
  ]);
};

const normalization: Family = (r) => {
  const x = [draw(r, 1, 3), 2 * draw(r, 1, 3), ...shape(r, draw(r, 1, 2), 2, 5)];
  const channels = real([x[1] as number]);
  const axis = draw(r, -x.length, -1);
  const normalized = x.slice(axis);
  return r.pick<OneNode>([
    { op: 'BatchNormalization', inputs: [real(x), channels, channels, channels, channels] },
    { op: 'InstanceNormalization', inputs: [real(x), channels, channels] },
    {
      op: 'LayerNormalization',
      inputs: [real(x), real(normalized), maybe(r, real(normalized))],
      attributes: { axis },
      outputs: draw(r, 1, 3),
    },
    { op: 'GroupNormalization', opset: 21, inputs: [real(x), channels, channels], attributes: { num_groups: 2 } },
    { op: 'Softmax', inputs: [real(x)], attributes: { axis } },
    { op: 'LogSoftmax', inputs: [real(x)], attributes: { axis } },
    { op: 'LRN', inputs: [real([...x.slice(0, 2), 3, 3])], attributes: { size: 3 } },
    { op: 'Dropout', inputs: [real(x)], outputs: draw(r, 1, 2) },
    { op: 'SkipLayerNormalization', domain: 'com.microsoft', inputs: [real([2, 3, 4]), real([2, 3, 4]), real([4])] },
  ]);
};

const generated: Family = (r) => {
  const dims = shape(r, draw(r, 1, 4));
  return r.pick<OneNode>([
    { op: 'Shape', inputs: [real(dims)], attributes: { start: maybe(r, draw(r, -2, 1)), end: maybe(r, -1) } },
    { op: 'Size', inputs: [real(dims)] },
    { op: 'ConstantOfShape', inputs: [list(dims)] },
    { op: 'Expand', inputs: [real(broadcastable(r, dims)), list(dims)] },
    { op: 'Tile', inputs: [real(dims), list(draws(r, dims.length, 1, 3))] },
    { op: 'RandomNormal', inputs: [], attributes: { shape: dims } },
    { op: 'RandomUniformLike', inputs: [real(dims)] },
    { op: 'EyeLike', inputs: [real(shape(r, 2))], attributes: { dtype: maybe(r, 7) } },
    { op: 'Expand', inputs: [real(dims), list(broadcastable(r, dims))] },
  ]);
};

const rearranged: Family = (r) => {
  const rank = draw(r, 1, 4);
  const dims = shape(r, rank);
  const perm = r.shuffle(dims.map((_, i) => i));
  const block = draw(r, 2, 3);
  const [n, c, h, w] = shape(r, 4, 1, 3) as [number, number, number, number];
  return r.pick<OneNode>([
    { op: 'Transpose', inputs: [real(dims)], attributes: { perm: maybe(r, perm) } },
    { op: 'Flatten', inputs: [real(dims)], attributes: { axis: maybe(r, draw(r, -rank, rank)) } },
    { op: 'DepthToSpace', inputs: [real([n, c * block * block, h, w])], attributes: { blocksize: block } },
    { op: 'SpaceToDepth', inputs: [real([n, c, h * block, w * block])], attributes: { blocksize: block } },
    { op: 'Trilu', inputs: [real(shape(r, 3))] },
    { op: 'ReverseSequence', inputs: [real([4, 2]), { dtype: 'int64', shape: [2], value: [2], constant: true }] },
  ]);
};

const indexed: Family = (r) => {
  const dims = shape(r, draw(r, 1, 3), 2, 5);
  const axis = r.integer(dims.length);
  const smaller = dims.map((dim) => draw(r, 1, dim));
  const keepdims = draw(r, 0, 1);
  const signed = signedAxis(r, axis, dims.length);
  return r.pick<OneNode>([
    { op: 'GatherElements', inputs: [real(dims), typed('int64', smaller)], attributes: { axis: signed } },
    {
      op: 'ScatterElements',
      inputs: [real(dims), typed('int64', smaller), real(smaller)],
      attributes: { axis: signed },
    },
    { op: 'ScatterND', inputs: [real(dims), typed('int64', [2, 1]), real([2, ...dims.slice(1)])] },
    { op: 'ArgMax', inputs: [real(dims)], attributes: { axis: signed, keepdims } },
    { op: 'ArgMin', inputs: [real(dims)], attributes: { axis: signed, keepdims } },
    { op: 'TopK', inputs: [real(dims), list([draw(r, 1, dims[axis] as number)])], attributes: { axis }, outputs: 2 },
    { op: 'CumSum', inputs: [real(dims), scalar(axis)] },
    { op: 'Where', inputs: [typed('bool', broadcastable(r, dims)), real(dims), real(broadcastable(r, dims))] },
  ]);
};

const cast: Family = (r) => ({
  op: 'Cast',
  inputs: [real(shape(r, draw(r, 0, 3)))],
  attributes: { to: r.pick([1, 6, 7, 9, 10, 11]) },
});

const fused: Family = (r) => {
  const [m, n, k, b] = shape(r, 4) as [number, number, number, number];
  const [transA, transB] = draws(r, 2, 0, 1);
  const domain = 'com.microsoft';
  return r.pick<OneNode>([
    {
      op: 'FusedMatMul',
      domain,
      inputs: [real(transA ? [b, k, m] : [b, m, k]), real(transB ? [b, n, k] : [b, k, n])],
      attributes: { transA, transB, alpha: float(1) },
    },
    { op: 'Gelu', domain, inputs: [real([m, n])] },
    { op: 'FastGelu', domain, inputs: [real([m, n, k]), maybe(r, real([k]))] },
    { op: 'BiasGelu', domain, inputs: [real([m, k]), real([k])] },
    {
      op: 'FusedConv',
      domain,
      inputs: [real([b, 2, 7, 8]), real([n, 2, 3, 2])],
      attributes: { activation: 'Relu', pads: [1, 0, 0, 1] },
    },
    {
      op: 'Attention',
      domain,
      inputs: [real([b, m, 8]), real([8, 24]), real([24])],
      attributes: { num_heads: 2 },
    },
    { op: 'GlobalAveragePool', inputs: [real([b, m, n, k])] },
    { op: 'GlobalMaxPool', inputs: [real([b, m, n])] },
    {
      op: 'GridSample',
      opset: 16,
      inputs: [real([b, m, 4, 5]), real([b, n, k, 2])],
    },
    {
      op: 'MaxUnpool',
      inputs: [real([1, 1, m, n]), typed('int64', [1, 1, m, n])],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    },
  ]);
};

const seldom: Family = (r) => {
  const [m, n, k, b] = shape(r, 4) as [number, number, number, number];
  const domain = 'com.microsoft';
  const one: Feed = { dtype: 'float32', shape: [], constant: true };
  const zero = typed('uint8', [], true);
  const size: Feed = { dtype: 'int64', shape: [], value: [m + 2], constant: true };
  const ids: Feed = { dtype: 'int32', shape: [b, m] };
  return r.pick<OneNode>([
    {
      op: 'RoiAlign',
      inputs: [real([1, b, 6, 6]), real([n, 4]), typed('int64', [n])],
      attributes: { output_height: m, output_width: maybe(r, k) },
    },
    {
      op: 'MaxRoiPool',
      inputs: [real([2, b, 6, 6]), { ...real([n, 5]), value: [0] }],
      attributes: { pooled_shape: [m, k] },
    },
    { op: 'Det', inputs: [real([...shape(r, draw(r, 0, 2)), m, m])] },
    { op: 'Multinomial', opset: 15, inputs: [real([b, n])], attributes: { sample_size: k, dtype: r.pick([6, 7]) } },
    { op: r.pick(['HannWindow', 'BlackmanWindow']), inputs: [size], attributes: { output_datatype: maybe(r, 11) } },
    { op: r.pick(['IsNaN', 'IsInf']), inputs: [real([b, n])] },
    { op: 'CastLike', inputs: [real([b, n]), typed('int64', [1])] },
    { op: r.pick(['LpNormalization', 'Hardmax', 'Softsign', 'Celu', 'Selu', 'Elu']), inputs: [real([b, n])] },
    { op: 'MeanVarianceNormalization', inputs: [real([b, n, m, k])] },
    { op: 'BitShift', inputs: [typed('uint8', [b, n]), typed('uint8', [n])], attributes: { direction: 'LEFT' } },
    { op: 'MatMulIntegerToFloat', domain, inputs: [typed('uint8', [b, m, k]), typed('uint8', [k, n]), one, one] },
    { op: 'DynamicQuantizeMatMul', domain, inputs: [real([b, m, k]), typed('uint8', [k, n], true), one] },
    {
      op: 'QGemm',
      domain,
      inputs: [
        ...[typed('uint8', [m, k]), one, zero, typed('uint8', [n, k], true), one, zero, undefined],
        ...(r.integer(2) === 0 ? [] : [one, zero]),
      ],
      attributes: { transB: 1 },
    },
    {
      op: 'QLinearAveragePool',
      domain,
      inputs: [typed('uint8', [1, b, 7, 9]), one, zero, one, zero],
      attributes: { kernel_shape: [2, 3], strides: draws(r, 2, 1, 3), ceil_mode: draw(r, 0, 1) },
    },
    {
      op: 'MultiHeadAttention',
      domain,
      inputs: [real([b, m, 8]), real([b, n, 8]), real([b, n, 4 * k])],
      attributes: { num_heads: 2 },
    },
    {
      op: 'EmbedLayerNormalization',
      domain,
      inputs: [ids, ids, real([9, 4]), real([9, 4]), real([9, 4]), real([4]), real([4])],
      outputs: 2,
    },
    { op: 'SkipSimplifiedLayerNormalization', domain, inputs: [real([b, m, 4]), real([b, m, 4]), real([4])] },
    {
      op: 'MatMulNBits',
      domain,
      inputs: [real([b, m, 32]), typed('uint8', [n, 1, 16], true), { ...real([n]), constant: true }],
      attributes: { K: 32, N: n, bits: 4, block_size: 32 },
    },
  ]);
};

const UNARY = [
  'Relu',
  'Sigmoid',
  'Tanh',
  'Erf',
  'Exp',
  'Sqrt',
  'HardSwish',
  'HardSigmoid',
  'Neg',
  'Abs',
  'Floor',
  'Log',
];

const FAMILIES: Readonly<Record<string, Family>> = {
  Conv: convolution('Conv'),
  ConvInteger: convolution('ConvInteger'),
  QLinearConv: convolution('QLinearConv'),
  ConvTranspose: transposedConvolution,
  MaxPool: pool('MaxPool'),
  AveragePool: pool('AveragePool'),
  LpPool: pool('LpPool'),
  'elementwise, one input': (r) => unary(r.pick(UNARY))(r),
  Clip: (r) => ({ op: 'Clip', inputs: [real(shape(r, 3)), real([]), maybe(r, real([]))] }),
  'elementwise, two inputs': (r) => binary(r.pick(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max', 'Mean', 'Sum']))(r),
  comparison: (r) => binary(r.pick(['Equal', 'Less', 'Greater', 'LessOrEqual']), 'int64')(r),
  logic: (r) => binary(r.pick(['And', 'Or', 'Xor']), 'bool')(r),
  'integer arithmetic': (r) => binary(r.pick(['Add', 'Mod', 'Div', 'Mul']), 'int64')(r),
  PRelu: (r) => {
    const dims = shape(r, 3);
    return { op: 'PRelu', inputs: [real(dims), real([dims[2] as number])] };
  },
  Cast: cast,
  Gemm: gemm,
  MatMul: (r) => ({ op: 'MatMul', inputs: matmulShapes(r).map(real) }),
  Einsum: einsum,
  normalization,
  'reductions before opset 13': (r) => reduction(r.pick(['ReduceMean', 'ReduceSum', 'ReduceMax']), 11)(r),
  'reductions of opset 17': (r) => reduction(r.pick(['ReduceMean', 'ReduceSum', 'ReduceL2']), 17)(r),
  'reductions of opset 18': (r) => reduction(r.pick(['ReduceMean', 'ReduceSum', 'ReduceMin', 'ReduceProd']), 18)(r),
  Reshape: reshape,
  'Slice by inputs': slice,
  'Slice by attributes': oldSlice,
  Pad: pad,
  'Squeeze by attribute': squeezing('Squeeze', 11),
  'Squeeze by input': squeezing('Squeeze', 17),
  'Unsqueeze by attribute': squeezing('Unsqueeze', 11),
  'Unsqueeze by input': squeezing('Unsqueeze', 17),
  Split: split,
  Concat: concat,
  rearranged,
  Gather: gather,
  GatherND: gatherND,
  OneHot: oneHot,
  indexed,
  RNN: recurrent('RNN', 1, 2),
  GRU: recurrent('GRU', 3, 2),
  LSTM: recurrent('LSTM', 4, 3),
  'Resize of opset 10': resize(10),
  'Resize of opset 13': resize(13),
  'Resize of opset 19': resize(19),
  Upsample: (r) => ({
    op: 'Upsample',
    opset: 9,
    inputs: [real(shape(r, 4)), { dtype: 'float32', shape: [4], value: [1, 1, 2, draw(r, 1, 3)], constant: true }],
    attributes: { mode: 'nearest' },
  }),
  Range: range,
  generated,
  quantized,
  fused,
  seldom,
};

/** Names for dimensions: sometimes one symbol for equal sizes, sometimes a symbol for each dimension. */
function naming(r: Random): {
  dim: (size: number, input: number, axis: number) => number | string;
  bound: Record<string, number>;
} {
  const bound: Record<string, number> = {};
  const shared = r.integer(2) === 0;
  return {
    bound,
    dim: (size, input, axis) => {
      if (r.integer(3) === 0) return size;
      const symbol = shared ? `S${size}` : `D${input}_${axis}`;
      bound[symbol] = size;
      return symbol;
    },
  };
}

for (const [name, family] of Object.entries(FAMILIES)) {
  test(`the rules for ${name} say what the runtime does`, async () => {
    const random = new Random(7).fork(name);
    let compared = 0;
    const cases = MORE_CASES[name] ?? CASES;
    for (let attempt = 0; compared < cases && attempt < 6 * cases; attempt++) {
      const node = family(random);
      const model = oneNodeModel(node);
      const real = await runTypes(model, feedsOf(node));
      if (!real) continue;
      compared++;
      const values = await inferValues(model, { probe: false });
      const { dim, bound } = naming(random);
      const named = await inferValues(oneNodeModel(node, dim), { probe: false });
      for (const [output, type] of real) {
        const where = `${JSON.stringify(node)} ${output}`;
        assert.deepEqual(values.get(output), type, where);
        const symbolic = named.get(output);
        if (!symbolic) continue;
        assert.equal(symbolic.dtype, type.dtype, where);
        assert.equal(symbolic.shape.length, type.shape.length, where);
        for (const [axis, size] of type.shape.entries()) {
          if (symbolic.shape[axis] === undefined) continue;
          const value = evaluateDim(symbolic.shape[axis], bound);
          assert.equal(value, size, `${where} axis ${axis} is ${symbolic.shape[axis]} of ${JSON.stringify(bound)}`);
        }
      }
    }
    assert.ok(compared >= 0.8 * cases, `only ${compared} cases ran`);
  });
}
