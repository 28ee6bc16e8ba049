import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model, Node } from '../../../onnx/model.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { reasonsFor } from '../../../operators/explain/explain.js';
import { casts } from '../../../operators/explain/reasons/casts.js';
import { conversions } from '../../../operators/explain/reasons/conversions.js';
import { floatLayers } from '../../../operators/explain/reasons/float-layers.js';
import { instructions } from '../../../operators/explain/reasons/instructions.js';
import { lostFusions } from '../../../operators/explain/reasons/lost-fusions.js';
import { memoryBound } from '../../../operators/explain/reasons/memory-bound.js';
import { overhead } from '../../../operators/explain/reasons/overhead.js';
import { slowerLayers } from '../../../operators/explain/reasons/slower-layers.js';
import { smallNodes } from '../../../operators/explain/reasons/small-nodes.js';
import { threads } from '../../../operators/explain/reasons/threads.js';
import { countZeros, zeros } from '../../../operators/explain/reasons/zeros.js';
import { emptyModel, examined, findings, work } from './findings.js';

const INT8 = { precision: 'int8' as const };
const CONVERSION = { precision: 'conversion' as const };

/** x -> QuantizeLinear -> DequantizeLinear -> MatMul -> y */
function unfused(): { optimized: Model; byName(name: string): Node } {
  const g = new GraphBuilder({ name: 'unfused' });
  const scale = g.initializer('scale', float32Tensor([], Float32Array.of(0.1)));
  const w = g.initializer('w', float32Tensor([4, 4], new Float32Array(16)));
  const q = g.node('QuantizeLinear', [g.input('x', 'float32', [1, 4]), scale], {}, 'q');
  g.output(g.node('MatMul', [g.node('DequantizeLinear', [q, scale], {}, 'dq'), w], {}, 'y'), 'float32');
  const optimized = g.build();
  return { optimized, byName: (name) => optimized.graph.nodes.find((node) => node.name === name) as Node };
}

test('conversions: what is left of them, what they feed, and what they did not fuse with', () => {
  const { optimized, byName } = unfused();
  const nodes = [
    work('q', 'QuantizeLinear', 0.5, { ...CONVERSION, node: byName('q') }),
    work('dq', 'DequantizeLinear', 0.25, { ...CONVERSION, node: byName('dq') }),
    work('y', 'MatMul', 3, { node: byName('y'), macs: 16 }),
  ];
  const reason = conversions(findings(examined(nodes, { optimized })));
  assert.equal(reason?.ms, 0.75);
  assert.match(reason.says, /Not fused .*1 node, 3\.00 ms .*\(y\)/);
  assert.match(reason.says, /0\.500 ms of it at the model's inputs and outputs/);
  assert.deepEqual(
    reason.nodes.map(({ name, note }) => [name, note]),
    [
      ['q', "at the model's edge"],
      ['dq', 'feeds y (MatMul)'],
    ],
  );
  assert.equal(conversions(findings(examined([work('y', 'MatMul', 3)]))), undefined);
});

test('float layers: those of a quantised model alone', () => {
  const float = work('a', 'Conv', 2, { macs: 10 });
  const reason = floatLayers(findings(examined([float, work('b', 'QLinearConv', 2, { ...INT8, macs: 10 })])));
  assert.equal(reason?.ms, 2);
  assert.match(reason.says, /1 layer: .* 50 % of/);
  assert.equal(floatLayers(findings(examined([float]))), undefined);
});

test('slower layers: paired in order, or by name where there are not as many', () => {
  const layer = (name: string, kernel: string, ms: number, macs: number) => work(name, kernel, ms, { macs });
  const original = examined([layer('c1', 'Conv', 1, 100), layer('c2', 'Conv', 1, 200)]);
  const variant = examined([layer('x', 'QLinearConv', 0.5, 100), layer('y', 'QLinearConv', 3, 200)]);
  const reason = slowerLayers(findings(variant, original));
  assert.equal(reason?.ms, 2);
  assert.deepEqual(reason.nodes[0]?.name, 'y');
  assert.match(reason.nodes[0]?.note ?? '', /2\.00 ms longer than Conv/);
  const fewer = slowerLayers(findings(examined([layer('c2_quant', 'QLinearConv', 4, 200)]), original));
  assert.equal(fewer?.ms, 3);
  assert.equal(slowerLayers(findings(original, original)), undefined);
  assert.equal(slowerLayers(findings(variant)), undefined);
});

test('lost fusions: fewer of one, and more of its pieces', () => {
  const g = new GraphBuilder({ name: 'fused' });
  const w = g.initializer('w', float32Tensor([1, 1, 1, 1], Float32Array.of(1)));
  g.output(g.node('Conv', [g.input('x', 'float32', [1, 1, 1, 1]), w], { activation: 'Relu' }, 'c'), 'float32');
  const [node] = g.build().graph.nodes as [Node];
  const fused = examined([work('c', 'com.microsoft:FusedConv', 2, { node })]);
  const apart = examined([work('c', 'Conv', 2), work('r', 'Relu', 0.75)]);
  const reason = lostFusions(findings(apart, fused));
  assert.equal(reason?.ms, 0.75);
  assert.match(reason.says, /1 times a convolution with its activation \(0\.750 ms\)/);
  assert.equal(lostFusions(findings(fused, fused)), undefined);
  // Fused in another way: nothing stands by itself.
  assert.equal(lostFusions(findings(examined([work('c', 'QLinearConv', 2)]), fused)), undefined);
});

test('casts: between float16 and float32 alone', () => {
  const cast = (from: string, to: string) =>
    work('cast', 'Cast', 1, { reads: [{ type: from, shape: [1] }], writes: [{ type: to, shape: [1] }] });
  assert.equal(casts(findings(examined([cast('float16', 'float'), cast('float', 'float16')])))?.ms, 2);
  assert.equal(casts(findings(examined([cast('int64', 'float')]))), undefined);
});

test('zeros: a pruned model is said to be not faster', () => {
  const pruned = (zero: number): Model => {
    const g = new GraphBuilder({ name: 'pruned' });
    const values = Float32Array.from({ length: 400 }, (_, i) => (i < zero ? (i % 2 ? 0 : -0) : 1));
    const w = g.initializer('w', float32Tensor([20, 20], values));
    const b = g.initializer('b', float32Tensor([20], new Float32Array(20)));
    g.output(g.node('Gemm', [g.input('x', 'float32', [1, 20]), w, b], {}, 'y'), 'float32');
    return g.build();
  };
  assert.deepEqual(countZeros(pruned(250)), { zero: 250, all: 400 });
  const nodes = [work('y', 'Gemm', 2, { macs: 400 }), work('r', 'Relu', 1)];
  const reason = zeros(findings(examined(nodes, { model: pruned(250) })));
  assert.equal(reason?.ms, 2);
  assert.match(reason.says, /63 % of the weights are zero.*not faster/);
  assert.equal(zeros(findings(examined(nodes, { model: pruned(40) }))), undefined);
  assert.equal(zeros(findings(examined(nodes, { model: emptyModel() }))), undefined);
});

test('instructions: named when the processor is known to have none', () => {
  const variant = examined([work('a', 'QLinearConv', 2, { ...INT8, macs: 10 })]);
  const on = (dotProducts: readonly string[] | undefined) =>
    instructions(findings(variant, undefined, { cpu: { name: 'old', arch: 'x64', dotProducts } }));
  assert.match(on([])?.says ?? '', /old.* no VNNI/);
  assert.equal(on([])?.ms, 2);
  assert.equal(on(['avx_vnni']), undefined);
  assert.equal(on(undefined), undefined, 'not known is no reason');
});

test('memory-bound: layers below the balance of the best rate and of bytes', () => {
  // 1e9 MACs a ms at best, 1e6 bytes a ms: 1000 MACs a byte keep it busy.
  const variant = examined([
    work('dense', 'Conv', 1, { macs: 1e9, bytes: 1e5 }),
    work('depthwise', 'Conv', 0.5, { macs: 1e6, bytes: 4e5 }),
    work('slow', 'Conv', 0.5, { macs: 1e6, bytes: 1e4 }),
    work('add', 'Add', 0.5, { bytes: 4e5 }),
  ]);
  const reason = memoryBound(findings(variant));
  assert.equal(reason?.ms, 1);
  assert.deepEqual(reason.nodes.map(({ name }) => name).sort(), ['add', 'depthwise']);
  assert.match(reason.says, /fewer than 1000\.0 .* a byte.*a copy of their bytes takes 0\.800 ms/);
  assert.equal(memoryBound(findings(examined([work('dense', 'Conv', 1, { macs: 1e9, bytes: 1e5 })]))), undefined);
});

test('small nodes: those whose work explains next to nothing of their time', () => {
  const dense = work('dense', 'Conv', 0.1, { macs: 1e8, bytes: 1e4 });
  const shape = work('shape', 'Shape', 0.02, { bytes: 8 });
  const busy = work('add', 'Add', 0.02, { bytes: 1e4 });
  const reason = smallNodes(findings(examined([dense, shape, busy, { ...shape, name: 'other' }])));
  assert.equal(reason?.ms, 0.04);
  assert.deepEqual(
    reason.nodes.map(({ name }) => name),
    ['shape', 'other'],
  );
  assert.equal(smallNodes(findings(examined([dense, work('slow', 'Shape', 1, { bytes: 8 })]))), undefined);
});

test('threads: where they gain less than in the original', () => {
  const original = examined([], { runMs: 5, oneThreadMs: 10 });
  const reason = threads(findings(examined([], { runMs: 8, oneThreadMs: 8 }), original, { threads: 2 }));
  assert.equal(reason?.ms, 4);
  assert.match(reason.says, /One thread takes 8\.00 ms, 2 take 8\.00 ms; the original takes 10\.00 ms and 5\.00 ms/);
  assert.equal(threads(findings(examined([], { runMs: 4, oneThreadMs: 8 }), original)), undefined);
  assert.equal(threads(findings(examined([], { runMs: 8 }), original)), undefined, 'one thread is all there is');
  assert.equal(threads(findings(examined([], { runMs: 9, oneThreadMs: 8 })))?.ms, 1);
});

test('overhead: what passes outside the nodes, beyond what the profile rounds away', () => {
  const nodes = [work('a', 'Conv', 0.05)];
  assert.ok(Math.abs((overhead(findings(examined(nodes, { runMs: 0.1 })))?.ms ?? 0) - 0.0495) < 1e-9);
  assert.equal(overhead(findings(examined(nodes, { runMs: 0.0506 }))), undefined);
});

test('reasons come with the costliest first', () => {
  const nodes = [
    work('q', 'QuantizeLinear', 1, CONVERSION),
    work('a', 'Conv', 2, { macs: 10 }),
    work('b', 'QLinearConv', 9, { ...INT8, macs: 10 }),
  ];
  const reasons = reasonsFor(findings(examined(nodes, { runMs: 50 })));
  assert.deepEqual(
    reasons.map(({ reason }) => reason),
    ['overhead', 'float-layers', 'conversions'],
  );
});
