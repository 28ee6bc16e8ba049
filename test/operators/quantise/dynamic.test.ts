import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { readModel } from '../../../onnx/read.js';
import { elementCount } from '../../../onnx/tensor.js';
import { dynamic } from '../../../operators/dynamic.js';
import { kernels } from './kernels.js';
import { applied, picture, text, workloadOf } from './own-workload.js';
import { noise, outputs } from './runs.js';
import { smallCnn, smallTransformer } from './small-graphs.js';

const texts = Array.from({ length: 6 }, (_, i) => text(i));
const pictures = Array.from({ length: 6 }, (_, i) => picture(i));

test('a transformer with int8 weights stays near the float one', async (t) => {
  const { workload, folder } = await workloadOf(t, smallTransformer(), 'ids', text);
  const float = await outputs(workload.modelPath, 'ids', texts);
  const by = async (options: Record<string, unknown>) => {
    const { path, facts } = await applied(dynamic, options, workload, folder);
    assert.deepEqual(facts?.quantised, { MatMul: 7, Gather: 1 });
    assert.ok((await stat(path)).size < (await stat(workload.modelPath)).size / 2);
    return noise(float, await outputs(path, 'ids', texts));
  };
  const channel = await by({});
  const tensor = await by({ perChannel: false });
  const reduced = await by({ reduceRange: true });
  assert.ok(channel < 0.03 && tensor < 0.04 && reduced < 0.05);
});

test('the runtime makes one kernel of each product, its scale and its bias', async (t) => {
  const { workload, folder } = await workloadOf(t, smallTransformer(), 'ids', text);
  const { path } = await applied(dynamic, {}, workload, folder);
  const found = await kernels(await readModel(path));
  assert.equal((found.MatMulIntegerToFloat ?? 0) + (found.DynamicQuantizeMatMul ?? 0), 7, JSON.stringify(found));
  assert.equal(found.MatMulInteger, undefined);
  // What is left are those of the residuals and of the normalisations; the biases are inside the kernels.
  assert.equal(found.Add, 5, JSON.stringify(found));
});

test('a Gemm keeps its factors, its bias and its transposed weights; a Conv is taken where it is named', async (t) => {
  const { workload, folder } = await workloadOf(t, smallCnn(), 'x', picture);
  const float = await outputs(workload.modelPath, 'x', pictures);
  const head = await applied(dynamic, {}, workload, folder);
  assert.deepEqual(head.facts?.quantised, { Gemm: 1 });
  assert.ok(noise(float, await outputs(head.path, 'x', pictures)) < 0.02);
  const all = await applied(dynamic, { nodeTypes: ['Conv', 'Gemm'] }, workload, folder);
  assert.deepEqual(all.facts?.quantised, { Conv: 6, Gemm: 1 });
  assert.ok(noise(float, await outputs(all.path, 'x', pictures)) < 0.05);
});

test('a Conv whose patches do not overlap, as a vision transformer begins with, is taken by itself', async (t) => {
  const g = new GraphBuilder({ name: 'patches' });
  const random = new Random(3);
  const weight = (name: string, shape: readonly number[]) =>
    g.weight(name, shape, () => Float32Array.from({ length: elementCount(shape) }, () => random.normal() / 8));
  const image = g.input('x', 'float32', ['N', 3, 8, 8]);
  const patches = g.node('Conv', [image, weight('patch.weight', [16, 3, 4, 4])], { strides: [4, 4] }, 'patches');
  const overlapping = g.node('Conv', [patches, weight('conv.weight', [16, 16, 2, 2])], {}, 'overlapping');
  const flat = g.node('Flatten', [overlapping], { axis: 1 });
  g.output(g.node('Gemm', [flat, weight('head.weight', [16, 4])], {}, 'logits'), 'float32', ['N', 4]);
  const { workload, folder } = await workloadOf(t, g.build(), 'x', picture);
  const { facts } = await applied(dynamic, {}, workload, folder);
  assert.deepEqual(facts?.quantised, { Conv: 1, Gemm: 1 });
  assert.match(JSON.stringify(facts?.left), /overlapping/);
});

test('what it has nothing to do for, and what it has been done to, is refused', async (t) => {
  const { workload, folder } = await workloadOf(t, smallCnn(), 'x', picture);
  const none = applied(dynamic, { excludeTypes: ['Gemm'] }, workload, folder);
  await assert.rejects(none, { kind: 'invalid', message: /no node that dynamic quantises/ });
  const { path } = await applied(dynamic, {}, workload, folder);
  const again = applied(dynamic, {}, { ...workload, modelPath: path }, folder);
  await assert.rejects(again, {
    kind: 'invalid',
    message: /^whole: the model is quantised already: node \S+ is a \w+$/,
  });
});
