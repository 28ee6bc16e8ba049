import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { readModel } from '../../../onnx/read.js';
import { dynamic } from '../../../operators/dynamic.js';
import { fp16 } from '../../../operators/fp16.js';
import { sptq } from '../../../operators/sptq.js';
import type { Variant } from '../../../operators/variant.js';
import { applied, picture, text, workloadOf } from './own-workload.js';
import { noise, outputs } from './runs.js';
import { smallCnn, smallTransformer } from './small-graphs.js';

const pictures = Array.from({ length: 6 }, (_, i) => picture(i));

test('a model, quantised on the calibration part, says what it is', async (t) => {
  const { workload, folder } = await workloadOf(t, smallCnn(), 'x', picture);
  const float = await outputs(workload.modelPath, 'x', pictures);
  for (const format of ['qdq', 'qoperator']) {
    const { path, facts, name } = await applied(sptq, { format }, workload, folder);
    assert.equal(name, 'whole');
    assert.ok(noise(float, await outputs(path, 'x', pictures)) < 0.03);
    assert.equal((facts?.quantised as Record<string, number> | undefined)?.Conv, 6);
    assert.deepEqual(facts?.left, []);
    assert.ok((facts?.outputError as number) < 1e-3);
    assert.equal(typeof facts?.saturates, 'boolean');
    const { metadataProps } = await readModel(path);
    assert.equal(metadataProps.find(({ key }) => key === 'tierbed.recipe')?.value, 'sptq');
  }
});

test('options leave nodes in float, and the facts say why', async (t) => {
  const { workload, folder } = await workloadOf(t, smallTransformer(), 'ids', text);
  const { facts, path } = await applied(sptq, { excludeNodes: ['q', 'k'], excludeTypes: ['Gather'] }, workload, folder);
  const left = facts?.left as { type: string; reason: string; nodes: string[] }[];
  assert.deepEqual(left.find(({ reason }) => /excludeNodes/.test(reason))?.nodes, ['q', 'k']);
  assert.deepEqual(left.find(({ reason }) => /excludeTypes/.test(reason))?.nodes, ['embedding']);
  assert.ok((await stat(path)).size < (await stat(workload.modelPath)).size);
});

test('what makes no sense is refused with the reason and the way out', async (t) => {
  const { workload, folder } = await workloadOf(t, smallCnn(), 'x', picture);
  const refused = (options: Record<string, unknown>, message: RegExp, over = {}) =>
    assert.rejects(applied(sptq, options, { ...workload, ...over }, folder), (error: Error & { fix?: string }) => {
      assert.match(error.message, message);
      assert.ok(error.fix);
      return true;
    });
  await refused({ nodeTypes: ['Relu'] }, /no node that sptq quantises/);
  await refused({ nodes: ['nowhere'] }, /'nowhere'/);
  await refused({}, /no calibration items/, { calibration: [] });
  await refused({ maxDrop: 1 }, /tuning/, { tuning: [] });
  const made = await applied(sptq, {}, workload, folder);
  await refused({}, /quantised already/, { modelPath: made.path });
  const cut: Variant = { name: 'halves', stages: [...made.stages, ...made.stages], steps: [] };
  for (const operator of [sptq, dynamic, fp16]) {
    const where = { outDir: folder, workDir: folder };
    const context = { workload, threads: 1, ...where, progress: { start() {}, update() {}, stop() {} } };
    const again = operator.apply(cut, {}, { ...context, signal: new AbortController().signal });
    await assert.rejects(again, { kind: 'invalid', message: /takes a whole model/ });
  }
});

test('with the guard the parts that it reads are calibration and tuning', () => {
  assert.deepEqual(sptq.reads?.({}), ['calibration']);
  assert.deepEqual(sptq.reads?.({ maxDrop: 1 }), ['calibration', 'tuning']);
});
