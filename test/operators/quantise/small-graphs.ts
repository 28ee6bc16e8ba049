import { Random } from '../../../base/random.js';
import { GraphBuilder, type Value } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';

/** Adds weights of a seeded uniform distribution. */
export function weights(g: GraphBuilder, name: string, shape: readonly number[], spread = 0.5): Value {
  const count = shape.reduce((a, b) => a * b, 1);
  return g.weight(name, shape, () => new Random(7).fork(name).fillUniform(new Float32Array(count), -spread, spread));
}

/** A small CNN with all that int8 kernels fuse: convolutions, depthwise too, clips, a residual, a concat, pools, a head. */
export function smallCnn(): Model {
  const g = new GraphBuilder({ name: 'cnn' });
  const conv = (x: Value, name: string, from: number, to: number, size: number, group = 1) =>
    g.node(
      'Conv',
      [x, weights(g, `${name}.w`, [to, from / group, size, size]), weights(g, `${name}.b`, [to], 0.2)],
      { kernel_shape: [size, size], pads: Array(4).fill((size - 1) / 2), group },
      name,
    );
  const x = g.input('x', 'float32', ['N', 3, 16, 16]);
  const stem = g.node('Relu', [conv(x, 'stem', 3, 8, 3)], {}, 'stem.relu');
  const six = g.float32(6);
  const depthwise = g.node('Clip', [conv(stem, 'dw', 8, 8, 3, 8), g.float32(0), six], {}, 'dw.clip');
  const projected = conv(depthwise, 'project', 8, 8, 1);
  const sum = g.node('Relu', [g.node('Add', [projected, stem], {}, 'sum')], {}, 'sum.relu');
  const pooled = g.node('MaxPool', [sum], { kernel_shape: [2, 2], strides: [2, 2] }, 'pool');
  const left = g.node('Relu', [conv(pooled, 'left', 8, 4, 1)], {}, 'left.relu');
  const right = conv(pooled, 'right', 8, 4, 3);
  const both = g.node('Concat', [left, right], { axis: 1 }, 'both');
  const mean = g.node('AveragePool', [conv(both, 'last', 8, 8, 1)], { kernel_shape: [2, 2], strides: [2, 2] }, 'mean');
  const flat = g.node('Flatten', [g.node('GlobalAveragePool', [mean], {}, 'gap')], {}, 'flat');
  const head = g.node('Gemm', [flat, weights(g, 'head.w', [5, 8]), weights(g, 'head.b', [5])], { transB: 1 }, 'head');
  g.output(head, 'float32', ['N', 5]);
  return g.build();
}

/** One encoder layer of a transformer with a table of embeddings; LayerNorm and GELU written out as exporters do. */
export function smallTransformer(): Model {
  const g = new GraphBuilder({ name: 'transformer' });
  const dim = 32;
  const dense = (x: Value, name: string, from: number, to: number) =>
    g.node(
      'Add',
      [weights(g, `${name}.b`, [to], 0.1), g.node('MatMul', [x, weights(g, `${name}.w`, [from, to], 0.3)], {}, name)],
      {},
      `${name}.out`,
    );
  const heads = (x: Value, name: string, perm: number[]) =>
    g.node(
      'Transpose',
      [g.node('Reshape', [x, g.int64([0, -1, 4, 8])], {}, `${name}.split`)],
      { perm },
      `${name}.heads`,
    );
  const norm = (x: Value, name: string) => {
    const centred = g.node(
      'Sub',
      [x, g.node('ReduceMean', [x], { axes: [-1] }, `${name}.mean`)],
      {},
      `${name}.centred`,
    );
    const square = g.node('Pow', [centred, g.float32(2)], {}, `${name}.square`);
    const variance = g.node('ReduceMean', [square], { axes: [-1] }, `${name}.variance`);
    const deviation = g.node(
      'Sqrt',
      [g.node('Add', [variance, g.float32(1e-5)], {}, `${name}.eps`)],
      {},
      `${name}.std`,
    );
    return g.node('Div', [centred, deviation], {}, name);
  };
  const ids = g.input('ids', 'int64', ['N', 6]);
  const x = norm(g.node('Gather', [weights(g, 'table', [64, dim], 1), ids], {}, 'embedding'), 'norm0');
  const q = heads(dense(x, 'q', dim, dim), 'q', [0, 2, 1, 3]);
  const k = heads(dense(x, 'k', dim, dim), 'k', [0, 2, 3, 1]);
  const v = heads(dense(x, 'v', dim, dim), 'v', [0, 2, 1, 3]);
  const scores = g.node('Div', [g.node('MatMul', [q, k], {}, 'scores'), g.float32(Math.sqrt(8))], {}, 'scaled');
  const mixed = g.node('MatMul', [g.node('Softmax', [scores], { axis: -1 }, 'attention'), v], {}, 'mixed');
  const joined = g.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }, 'joined');
  const rows = g.node('Reshape', [joined, g.int64([0, -1, dim])], {}, 'rows');
  const attended = norm(g.node('Add', [x, dense(rows, 'attend', dim, dim)], {}, 'residual1'), 'norm1');
  const up = dense(attended, 'up', dim, 64);
  const erf = g.node('Erf', [g.node('Div', [up, g.float32(Math.SQRT2)], {}, 'gelu.div')], {}, 'gelu.erf');
  const half = g.node('Mul', [up, g.node('Add', [erf, g.float32(1)], {}, 'gelu.add')], {}, 'gelu.mul');
  const gelu = g.node('Mul', [half, g.float32(0.5)], {}, 'gelu');
  const out = norm(g.node('Add', [attended, dense(gelu, 'down', 64, dim)], {}, 'residual2'), 'norm2');
  g.output(g.node('MatMul', [out, weights(g, 'classes.w', [dim, 4])], {}, 'classes'), 'float32', ['N', 6, 4]);
  return g.build();
}
