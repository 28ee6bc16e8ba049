import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inferValues } from '../../../onnx/infer.js';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, denseTensor, type NamedTensor } from '../../../onnx/tensor.js';
import { planQuantisation } from '../../../operators/quantise/graph/plan.js';
import { writeQdq } from '../../../operators/quantise/graph/qdq.js';
import { writeQOperator } from '../../../operators/quantise/graph/qoperator.js';
import { View } from '../../../operators/quantise/graph/view.js';
import { OutputError } from '../../../operators/quantise/output-error.js';
import { preparedFloat } from '../../../operators/quantise/prepared-float.js';
import { sptq } from '../../../operators/sptq.js';
import { postprocess } from '../../../workloads/postprocess/index.js';
import { preparedItems } from '../../../workloads/prepared.js';
import { bytesOf, SHARED_DIMS, seededInputs } from '../../support/run-model.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';
import { minMax } from './measure.js';
import { applied } from './own-workload.js';
import { labelledModels, sharedWorkload } from './shared-workloads.js';

/** How often a model's answers must be the float model's: small nets on few classes of pictures change more of them. */
const AGREEMENT: Readonly<Record<string, number>> = { 'mobilenet_v1_0.25_128': 0.7, vit_ibp_3_3_8_cifar10: 0.8 };

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-shared-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('shared models with data give the float model’s answers, at a third of the size', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  for (const name of labelledModels(data)) {
    await t.test(name, async (t) => {
      const large = /mobilenet|squeezenet/.test(name);
      const sizes = large ? { calibration: 12, evaluation: 20 } : { calibration: 24, evaluation: 40 };
      const workload = await sharedWorkload(data, name, sizes);
      const { path, facts } = await applied(sptq, {}, workload, await folderOf(t));
      assert.deepEqual(facts?.warnings, []);
      const [float, int8] = [await openModel(workload.modelPath), await openModel(path)];
      let [n, same] = [0, 0];
      for await (const { inputs } of preparedItems(workload, 'evaluation', () => {})) {
        const answers = [await float.run(inputs), await int8.run(inputs)];
        const [a, b] = answers.map((outputs) => postprocess(workload.postprocess, outputs));
        n++;
        if (a === b) same++;
      }
      await float.close();
      await int8.close();
      assert.ok(same / n >= (AGREEMENT[name] ?? 0.85), `${same} of ${n} answers are the same`);
      const share = (await stat(path)).size / (await stat(workload.modelPath)).size;
      assert.ok(share < 0.45, `${share}`);
    });
  }
});

test('shared models without data are quantised on made-up items, or refused with the reason', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const labelled = new Set(labelledModels(data));
  for (const { name, path } of sharedModels(data).filter((model) => !labelled.has(model.name))) {
    await t.test(name, async () => {
      const given = await readModel(path);
      if (name === 'mobilenetv2_torchvision_int8_qdq') {
        await assert.rejects(preparedFloat(given, name), { kind: 'invalid', message: /quantised already/ });
        return;
      }
      const { model } = await preparedFloat(given, name);
      const items = [1, 2, 3, 4].map((seed) => tensorsOf(seededInputs(model, SHARED_DIMS, seed)));
      const plan = planQuantisation(new View(model, await inferValues(model)), {}, 'uint8');
      const products = [...plan.nodes.values()].filter(({ type }) => type.kind === 'product');
      assert.ok(products.length > 0);
      const ranges = await minMax(model, plan.tensors, items);
      const float = await openModel(path);
      for (const write of [writeQdq, writeQOperator]) {
        const made = await openModel(write(plan, ranges, { perChannel: true, reduceRange: false }));
        const error = new OutputError();
        for (const item of items) error.add(await float.run(item), await made.run(item));
        await made.close();
        assert.ok(error.value() < 0.05, `${error.value()}`);
      }
      await float.close();
    });
  }
});

function tensorsOf(feeds: ReturnType<typeof seededInputs>): NamedTensor[] {
  return Object.entries(feeds).map(([name, tensor]) => ({
    name,
    tensor: denseTensor(tensor.type as DenseTensor['dtype'], tensor.dims, bytesOf(tensor)),
  }));
}
