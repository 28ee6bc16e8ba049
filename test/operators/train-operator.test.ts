import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { problemOf } from '../../base/checked-yaml.js';
import { Random } from '../../base/random.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import { applyRecipe } from '../../operators/apply-recipe.js';
import { checkRecipe } from '../../operators/check-recipe.js';
import { evaluate } from '../../operators/evaluate.js';
import { buildVariants } from '../../operators/recipe.js';
import { train } from '../../operators/train.js';
import type { Step, TakenStep, Variant } from '../../operators/variant.js';
import type { Workload } from '../../workloads/types.js';
import { needsSharedData } from '../support/shared-data.js';
import { tensorItem, tensorWorkload } from '../support/tensor-workload.js';
import { mlp, newFolder, points, pointWorkload, weightsOf } from './train/toy.js';

const OPTIONS = {
  epochs: 5,
  batch: 16,
  optimizer: { kind: 'adamw', rate: 0.02 },
  augment: [{ kind: 'noise', deviation: 0.01 }],
};

async function made(workload: Workload, steps: readonly Step[], cache: string): Promise<Variant> {
  const [variant] = await buildVariants(workload, 'trained', steps, { cache, threads: 1 });
  return variant as Variant;
}

async function filed(): Promise<Workload> {
  const modelPath = join(await newFolder(), 'model.onnx');
  await writeModel(mlp(), modelPath);
  return pointWorkload({ modelPath, items: points(60, 3, 'c') });
}

test('train makes the model of a workload better, and tells how', async () => {
  const workload = await filed();
  const cache = await newFolder();
  const steps = [{ operator: 'train', options: OPTIONS }];
  const variant = await made(workload, steps, cache);
  const [before, after] = await Promise.all(
    [made(workload, [], cache), variant].map(async (each) => {
      return (await evaluate(workload, (await each).stages, 'evaluation')).value ?? 0;
    }),
  );
  assert.ok((after ?? 0) > (before ?? 1) + 0.2, `${before} -> ${after}`);
  const facts = variant.steps[0]?.facts as { curve: object[]; items: object; objective: string; memory: object };
  assert.equal(facts.curve.length, 5);
  assert.deepEqual([facts.items, facts.objective], [{ training: 96, tuning: 60 }, 'cross-entropy']);
  const model = await readModel(variant.stages[0]?.files[0]?.path as string);
  assert.equal(model.metadataProps.find(({ key }) => key === 'tierbed.recipe')?.value, 'train');
  assert.deepEqual(await readdir(join(cache, 'training')), []);
});

test('its curve stands beside the model, and is replaced with it', async () => {
  const workload = await filed();
  const recipe = {
    name: 'twice',
    steps: [OPTIONS, { ...OPTIONS, epochs: 2 }].map((options) => ({ operator: 'train', options })),
  };
  const out = join(await newFolder(), 'out');
  const options = { out, cache: await newFolder(), threads: 1, evaluate: false };
  await applyRecipe(workload, recipe, options);
  const files = ['curve-2.csv', 'curve-2.svg', 'curve.csv', 'curve.svg', 'manifest.json', 'model.onnx'];
  assert.deepEqual((await readdir(out)).sort(), files);
  assert.equal((await readFile(join(out, 'curve-2.csv'), 'utf8')).trim().split('\n').length, 3);
  await applyRecipe(workload, { ...recipe, steps: recipe.steps.slice(0, 1) }, { ...options, force: true });
  assert.deepEqual((await readdir(out)).sort(), files.slice(2));
});

test('what is frozen stays as it is', async () => {
  const workload = await filed();
  const options = { ...OPTIONS, freeze: ['first.*'] };
  const variant = await made(workload, [{ operator: 'train', options }], await newFolder());
  const weights = weightsOf(await readModel(variant.stages[0]?.files[0]?.path as string));
  assert.deepEqual(weights.get('first.weight'), weightsOf(mlp()).get('first.weight'));
  assert.notDeepEqual(weights.get('second.weight'), weightsOf(mlp()).get('second.weight'));
});

test('train does not stand behind what leaves no float32 weights', () => {
  const steps = ['sptq', 'train'].map((operator) => ({ operator, options: {} }));
  assert.throws(() => checkRecipe(steps, ['points']), { kind: 'invalid', message: /float32/ });
});

test('options are checked: names, kinds, and what belongs to each kind', () => {
  const problem = (options: unknown): string => JSON.stringify(problemOf(options, train.optionsSchema) ?? '');
  assert.equal(problem(OPTIONS), '""');
  assert.equal(problem(null), '""');
  assert.match(problem({ epoch: 3 }), /epoch/);
  assert.match(problem({ optimizer: { kind: 'lamb' } }), /sgd/);
  assert.match(problem({ optimizer: { kind: 'sgd', betas: [0.9, 0.99] } }), /betas/);
  assert.match(problem({ schedule: { kind: 'step', every: 3 } }), /factor/);
  assert.match(problem({ augment: [{ kind: 'crop' }] }), /pad/);
});

test('an old model that is fixed to one item is refused with a batch, and trained one by one', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const modelPath = join(data, 'models', 'mnist_cnn_opset8.onnx');
  const random = new Random(1);
  const training = Array.from({ length: 24 }, (_, i) => {
    const item = tensorItem(`${i}`, random.fillUniform(new Float32Array(784), 0, 255), [1, 1, 28, 28], 'Input3');
    return { ...item, label: String(i % 10) };
  });
  const postprocess = { kind: 'argmax', output: 'Plus214_Output_0' } as const;
  const workload = tensorWorkload({ name: 'mnist', modelPath, training, postprocess, metric: 'top1' });
  const settings = { epochs: 1, optimizer: { kind: 'sgd', rate: 1e-8 } } as const;
  const [byOne, byEight] = [1, 8].map((batch) => [{ operator: 'train', options: { ...settings, batch } }]);
  await assert.rejects(made(workload, byEight as Step[], await newFolder()), {
    kind: 'invalid',
    message: /'Plus214_Output_0' is \[1, 10\] for 8 items/,
    fix: /batch: 1/,
  });
  const variant = await made(workload, byOne as Step[], await newFolder());
  const { steps } = (variant.steps[0] as TakenStep).facts;
  assert.equal(steps, 24);
});
