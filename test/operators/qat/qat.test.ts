import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { silent } from '../../../base/progress.js';
import { initializerBytes } from '../../../onnx/initializer.js';
import type { Initializer } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { writeModel } from '../../../onnx/write.js';
import { describeModel } from '../../../operators/model-files.js';
import type { Agreement } from '../../../operators/qat/agreement.js';
import { qat } from '../../../operators/qat.js';
import { weightValues } from '../../../operators/quantise/graph/view.js';
import { sptq } from '../../../operators/sptq.js';
import type { Facts } from '../../../operators/variant.js';
import { applied, picture, workloadOf } from '../quantise/own-workload.js';
import { smallCnn } from '../quantise/small-graphs.js';
import { toyPictures } from './toy-pictures.js';

const TRAIN = { epochs: 6, batch: 24, optimizer: { kind: 'adamw', rate: 0.003 } };

interface QatFacts extends Facts {
  readonly tuning: {
    readonly scores: { readonly float: number; readonly untrained: number; readonly trained: number };
  };
  readonly agreement: Agreement;
  readonly saturates: boolean;
  readonly int8: { readonly byKernel: Readonly<Record<string, number>> };
  readonly warnings: readonly string[];
}

test('training wins back what rounding cost, and the int8 model is what was trained', async (t) => {
  const { workload, folder } = await toyPictures(t);
  const options = { perChannel: false, train: TRAIN };
  for (const more of [
    { ranges: 'moving' },
    { ranges: 'learned', activations: 'int8' },
    { ranges: 'fixed', format: 'qoperator' },
  ]) {
    const { facts, path } = await applied(qat, { ...options, ...more }, workload, folder);
    const { tuning, agreement, saturates, int8, warnings } = facts as QatFacts;
    const { float, untrained, trained } = tuning.scores;
    assert.ok(float > 0.9 && untrained < 0.85 && trained > untrained + 0.1, JSON.stringify({ more, tuning }));
    assert.equal(agreement.items, 8);
    assert.ok(agreement.written.largestSteps < 1, `${agreement.written.largestSteps} steps`);
    if (process.arch === 'x64' && !saturates) assert.equal(agreement.fused.largestSteps, 0);
    else assert.ok(agreement.fused.largestSteps < 1, `${agreement.fused.largestSteps} steps`);
    assert.deepEqual(warnings, []);
    assert.ok(
      Object.keys(int8.byKernel).some((kernel) => kernel.endsWith('QLinearConv')),
      Object.keys(int8.byKernel).join(),
    );
    const { metadataProps } = await readModel(path);
    assert.equal(metadataProps.find(({ key }) => key === 'tierbed.recipe')?.value, 'qat');
  }
});

test('before the first step it is what sptq makes', async (t) => {
  const { workload, folder } = await toyPictures(t);
  const still = { ...TRAIN, epochs: 1, optimizer: { kind: 'sgd', rate: 1e-30 } };
  const trained = await applied(qat, { ranges: 'fixed', train: still }, workload, folder);
  const made = await applied(sptq, {}, workload, folder);
  const [a, b] = [await readModel(trained.path), await readModel(made.path)];
  assert.deepEqual(
    a.graph.nodes.map(({ opType, inputs, outputs }) => [opType, inputs, outputs]),
    b.graph.nodes.map(({ opType, inputs, outputs }) => [opType, inputs, outputs]),
  );
  assert.deepEqual(a.graph.initializers, b.graph.initializers);
});

test('training that is cut off goes on to the same model, bit for bit', async (t) => {
  const { workload, folder } = await toyPictures(t);
  const variant = { name: 'whole', stages: [await describeModel(workload.modelPath)], steps: [] };
  const options = { ranges: 'moving', train: { ...TRAIN, epochs: 2 } };
  let runs = 0;
  const run = async (workDir: string, stopAt = Number.POSITIVE_INFINITY): Promise<Buffer> => {
    const outDir = join(folder, `run-${runs++}`);
    await mkdir(outDir);
    const stop = new AbortController();
    let training = false;
    const progress = {
      ...silent,
      start(label: string) {
        training = label.startsWith('training');
      },
      update(done: number) {
        if (training && done >= stopAt) stop.abort();
      },
    };
    const context = { workload, threads: 1, outDir, workDir: join(folder, workDir), progress, signal: stop.signal };
    await qat.apply(variant, options, context);
    return readFile(join(outDir, 'model.onnx'));
  };
  const whole = await run('whole');
  await assert.rejects(run('cut', 13), { kind: 'cancelled' });
  assert.equal(Buffer.compare(await run('cut'), whole), 0);
});

test('behind prune, zeros of the weights stay zeros', async (t) => {
  const { workload, folder } = await toyPictures(t);
  const model = await readModel(workload.modelPath);
  const zeroed = model.graph.initializers.map((each): Initializer => {
    if (each.name !== 'second.w') return each;
    const values = weightValues(each).map((value, i) => (i % 3 === 0 ? 0 : value));
    return { ...each, data: { kind: 'raw', bytes: new Uint8Array(values.buffer) } };
  });
  const path = join(folder, 'pruned.onnx');
  await writeModel({ ...model, graph: { ...model.graph, initializers: zeroed } }, path);
  const taken = { operator: 'prune', options: {}, version: 1, tookMs: 0, cached: false, facts: {} };
  const outDir = join(folder, 'pruned');
  await mkdir(outDir);
  const context = { workload, threads: 1, outDir, workDir: join(folder, 'work'), progress: silent };
  for (const steps of [[taken], []]) {
    const variant = { name: 'pruned', stages: [await describeModel(path)], steps };
    const options = { train: { ...TRAIN, optimizer: { kind: 'adamw', rate: 0.02 } } };
    await qat.apply(variant, options, { ...context, workDir: join(folder, `work-${steps.length}`), signal: NEVER });
    const made = await readModel(join(outDir, 'model.onnx'));
    const int8 = made.graph.initializers.find(({ name }) => name === 'second.w_quantized') as Initializer;
    const bytes = initializerBytes(int8);
    const zeros = bytes.filter((value, i) => i % 3 === 0 && value === 0).length;
    const all = Math.ceil(bytes.length / 3);
    assert.ok(steps.length > 0 ? zeros === all : zeros < all, `${zeros} of ${all}`);
  }
});

const NEVER = new AbortController().signal;

test('with a largest drop, nodes go back to float until it holds', async (t) => {
  const { workload, folder } = await toyPictures(t);
  const still = { ...TRAIN, epochs: 1, optimizer: { kind: 'sgd', rate: 1e-30 } };
  const { facts } = await applied(qat, { perChannel: false, maxDrop: 2, train: still }, workload, folder);
  const guard = facts?.guard as { drops: { quantised: number; guarded: number }; excluded: { nodes: string[] }[] };
  assert.ok(guard.drops.quantised > 2 && guard.drops.guarded <= 2, JSON.stringify(guard));
  assert.ok(guard.excluded.length > 0);
});

test('what makes no sense is refused with the reason and the way out', async (t) => {
  const { workload, folder } = await toyPictures(t);
  const refused = (options: Record<string, unknown>, message: RegExp, over = {}) =>
    assert.rejects(applied(qat, options, { ...workload, ...over }, folder), (error: Error & { fix?: string }) => {
      assert.match(error.message, message);
      assert.ok(error.fix);
      return true;
    });
  await refused({}, /no training items/, { training: [] });
  await refused({}, /no calibration items/, { calibration: [] });
  await refused({ nodeTypes: ['Relu'] }, /no node that qat quantises/);
  await refused({ nodes: ['nowhere'] }, /'nowhere'/);
  await refused({ train: { batch: 1000 } }, /1000/);
  await refused({ train: { freeze: ['*'] } }, /freeze/);
  const { path } = await applied(sptq, {}, workload, folder);
  await refused({}, /quantised already/, { modelPath: path });
  const digest = await workloadOf(t, smallCnn(), 'x', picture);
  await assert.rejects(applied(qat, {}, { ...digest.workload, training: digest.workload.items }, digest.folder), {
    kind: 'invalid',
    message: /digest/,
  });
});

test('it stands before what makes weights smaller, and reads what it trains and chooses on', () => {
  for (const operator of ['sptq', 'dynamic', 'fp16', 'qat']) {
    const misfit = qat.after?.([{ operator, options: {} }], {});
    assert.match(misfit?.reason ?? '', new RegExp(operator));
  }
  assert.match(sptq.after?.([{ operator: 'qat', options: {} }], {})?.reason ?? '', /qat/);
  assert.equal(qat.after?.([{ operator: 'prune', options: {} }], {}), undefined);
  assert.deepEqual(qat.reads?.({}), ['calibration', 'training', 'tuning']);
});
