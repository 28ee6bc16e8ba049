import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { DATA_TYPE } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { fp16 } from '../../../operators/fp16.js';
import { halveCompute } from '../../../operators/quantise/graph/half-compute.js';
import { kernels } from './kernels.js';
import { applied, picture, text, workloadOf } from './own-workload.js';
import { noise, outputs } from './runs.js';
import { smallCnn, smallTransformer } from './small-graphs.js';

const pictures = Array.from({ length: 4 }, (_, i) => picture(i));
const texts = Array.from({ length: 4 }, (_, i) => text(i));

test('weights take half the bytes, the runtime computes in float32 with no Cast left', async (t) => {
  const { workload, folder } = await workloadOf(t, smallTransformer(), 'ids', text);
  const { path, facts } = await applied(fp16, {}, workload, folder);
  assert.equal(facts?.converted, 7);
  assert.ok((await stat(path)).size < 0.6 * (await stat(workload.modelPath)).size);
  const found = await kernels(await readModel(path));
  assert.equal(found.Cast, undefined, JSON.stringify(found));
  const float = await outputs(workload.modelPath, 'ids', texts);
  assert.ok(noise(float, await outputs(path, 'ids', texts)) < 2e-3);
});

/** y = x + w, with a tensor of each kind. */
async function withWeights(t: Parameters<typeof workloadOf>[0], values: Float32Array) {
  const g = new GraphBuilder({ name: 'weights' });
  const x = g.input('x', 'float32', [1, 512]);
  g.output(g.node('Add', [x, g.initializer('w', float32Tensor([512], values))], {}, 'y'), 'float32', [1, 512]);
  return workloadOf(t, g.build(), 'x', () => float32Tensor([1, 512], new Float32Array(512)));
}

test('numbers beyond float16 are kept, set to the largest, or refused', async (t) => {
  const values = new Float32Array(512).fill(1);
  values[3] = 1e6;
  const { workload, folder } = await withWeights(t, values);
  const zeros = [float32Tensor([1, 512], new Float32Array(512))];
  const kept = await applied(fp16, {}, workload, folder);
  assert.match(JSON.stringify(kept.facts?.kept), /"w".*65504/);
  assert.equal((await outputs(kept.path, 'x', zeros))[0]?.[3], 1e6);
  const clamped = await applied(fp16, { overflow: 'clamp' }, workload, folder);
  assert.deepEqual(clamped.facts?.clamped, { w: 1 });
  assert.equal((await outputs(clamped.path, 'x', zeros))[0]?.[3], 65504);
  await assert.rejects(applied(fp16, { overflow: 'refuse' }, workload, folder), { kind: 'invalid', message: /w has/ });
});

test('tensors of tiny numbers stay float32; single ones that become 0 are counted', async (t) => {
  const tiny = await withWeights(t, new Float32Array(512).fill(1e-6));
  const kept = await applied(fp16, {}, tiny.workload, tiny.folder);
  assert.equal(kept.facts?.converted, 0);
  assert.match(JSON.stringify(kept.facts?.kept), /few digits/);
  const values = new Float32Array(512).fill(1);
  values.fill(1e-9, 0, 5);
  const some = await withWeights(t, values);
  assert.equal((await applied(fp16, {}, some.workload, some.folder)).facts?.becameZero, 5);
});

test('a model that computes in float16 gives the same within float16', async () => {
  const cnn = halveCompute(smallCnn(), 'cnn').model;
  assert.ok(noise(await outputs(smallCnn(), 'x', pictures), await outputs(cnn, 'x', pictures)) < 5e-3);
  const transformer = halveCompute(smallTransformer(), 'transformer').model;
  assert.ok(noise(await outputs(smallTransformer(), 'ids', texts), await outputs(transformer, 'ids', texts)) < 1e-2);
  const floats = transformer.graph.initializers.filter(({ dataType }) => dataType === DATA_TYPE.float32);
  assert.deepEqual(floats, []);
});

test('computing in float16 is refused where the runtime would do it in float32 anyway', async (t) => {
  const { workload, folder } = await workloadOf(t, smallCnn(), 'x', picture);
  if (process.arch === 'arm64') return t.skip('this processor has float16 kernels');
  await assert.rejects(applied(fp16, { compute: 'float16' }, workload, folder), { kind: 'invalid', message: /Conv/ });
});
