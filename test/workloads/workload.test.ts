import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { TierbedError } from '../../base/errors.js';
import { loadWorkload, type ModelWorkloadSpec } from '../../workloads/index.js';
import { workloadSchema } from '../../workloads/schema.js';

const model: ModelWorkloadSpec = {
  model: 'net.onnx',
  data: { loader: 'image-folder', path: '.', labels: 'labels.csv' },
  preprocess: { kind: 'image', input: 'x', size: 8, resizeShorter: 8, scale: 255, mean: [0, 0, 0], std: [1, 1, 1] },
  postprocess: { kind: 'argmax', output: 'y' },
  metric: 'top1',
};

describe('the schema of a workload', () => {
  const validate = new Ajv({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true }).compile(
    workloadSchema,
  );
  const errors = (spec: unknown): string[] => {
    validate(spec);
    return (validate.errors ?? [])
      .filter(({ keyword }) => keyword !== 'if')
      .map(({ instancePath, params }) => `${instancePath} ${JSON.stringify(params)}`);
  };

  it('takes every kind of workload there is', () => {
    const path = 'x';
    for (const spec of [
      { use: 'pictures' },
      { use: 'pictures', seed: 7 },
      model,
      { ...model, data: { ...model.data, fileColumn: 'a', labelColumn: 'b' } },
      { ...model, data: { loader: 'cifar', path } },
      {
        ...model,
        data: { loader: 'idx', images: 'i', labels: 'l', input: 'x', scale: 255 },
        preprocess: { kind: 'tensors' },
      },
      { ...model, data: { loader: 'tensor-file', path, stored: 'int8', input: 'x', shape: [1, 4], offset: 83 } },
      {
        ...model,
        data: { loader: 'npy', path, input: 'x', shape: [1, 4], dtype: 'float32', scale: 2, labels: 'l.npy' },
      },
      { ...model, data: { loader: 'npz', path, inputs: { x: 'a', y: { array: 'b', offset: 1 } }, labelArray: 'l' } },
      { ...model, data: { loader: 'tsv', path, textColumn: 'text', labelColumn: 1, tokenizer: 't.json', length: 8 } },
      {
        ...model,
        data: { loader: 'tsv', path, heading: false, textColumn: 0, pairColumn: 1, tokenizer: 'vocab.txt', length: 8 },
      },
      { ...model, postprocess: { kind: 'digest' }, metric: 'none' },
      { ...model, postprocess: { kind: 'argmax', output: 'y', top: 5 }, metric: 'top5' },
      { ...model, postprocess: { kind: 'numbers', output: 'y' }, metric: { mse: { against: 'x' } } },
      { ...model, metric: { f1: { positive: 1 } } },
      { ...model, metric: { f1: null } },
      { ...model, metric: { agreement: { with: 'other.onnx' } } },
      { ...model, split: { training: 100, calibration: 10, tuning: 5, evaluation: 20, seed: 3, stratified: false } },
      {
        ...model,
        parts: {
          training: { loader: 'cifar', path },
          calibration: { loader: 'cifar', path },
          tuning: { loader: 'cifar', path },
        },
      },
      { ...model, postprocess: { kind: 'argmax', output: 'y', classes: ['a', 'b'] } },
    ]) {
      assert.deepEqual(errors(spec), [], JSON.stringify(spec));
    }
  });

  it('speaks of what is wrong, and of the choice that was made alone', () => {
    const wrong: [unknown, string[]][] = [
      [{ use: 'photos' }, ['/use {"allowedValues":["pictures","text"]}']],
      [{ use: 'pictures', metric: 'top1' }, [' {"additionalProperty":"metric"}']],
      [
        { ...model, metric: 'bleu' },
        ['/metric {"allowedValues":["top1","top5","accuracy","f1","mse","agreement","none"]}'],
      ],
      [{ ...model, metric: { agreement: {} } }, ['/metric/agreement {"missingProperty":"with"}']],
      [{ ...model, metric: { top1: { k: 1 } } }, ['/metric/top1 {"additionalProperty":"k"}']],
      [{ ...model, split: { test: 1 } }, ['/split {"additionalProperty":"test"}']],
      [{ ...model, parts: { tuning: { loader: 'cifar' } } }, ['/parts/tuning {"missingProperty":"path"}']],
      [{ ...model, data: { loader: 'image-folder', path: '.' } }, ['/data {"missingProperty":"labels"}']],
      [
        { ...model, data: { loader: 'parquet' } },
        ['/data/loader {"allowedValues":["image-folder","cifar","idx","tensor-file","npy","npz","tsv"]}'],
      ],
      [{ ...model, preprocess: { ...model.preprocess, crop: 1 } }, ['/preprocess {"additionalProperty":"crop"}']],
      [{ ...model, preprocess: { ...model.preprocess, std: [1, 1] } }, ['/preprocess/std {"limit":3}']],
      [{ ...model, postprocess: { kind: 'argmax' } }, ['/postprocess {"missingProperty":"output"}']],
    ];
    for (const [spec, want] of wrong) assert.deepEqual(errors(spec), want);
  });
});

describe('loading a workload', () => {
  it('gives the model, the items and how to treat them', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'tierbed-workload-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const load = (over: Partial<ModelWorkloadSpec> = {}) => loadWorkload({ ...model, ...over }, { baseDir: dir });
    const missing = (text: RegExp) => (error: unknown) =>
      error instanceof TierbedError && error.kind === 'missing' && text.test(error.message);
    await assert.rejects(load(), missing(/net\.onnx does not exist/));
    await writeFile(join(dir, 'net.onnx'), 'not looked into here');
    await assert.rejects(load(), missing(/labels\.csv does not exist/));
    await writeFile(join(dir, 'labels.csv'), 'file,label\nlabels.csv,5\n');
    const workload = await load();
    assert.equal(workload.name, 'net');
    assert.equal(workload.modelPath, join(dir, 'net.onnx'));
    assert.deepEqual([workload.items.length, workload.items[0]?.label], [1, '5']);
    assert.deepEqual(
      [workload.preprocess, workload.postprocess, workload.metric],
      [model.preprocess, model.postprocess, 'top1'],
    );
    assert.equal((await loadWorkload(model, { baseDir: dir, name: 'mine' })).name, 'mine');
    const invalid = (error: unknown) => error instanceof TierbedError && error.kind === 'invalid';
    await assert.rejects(load({ metric: 'bleu' }), invalid);
    await assert.rejects(load({ preprocess: { ...model.preprocess, size: 0 } as never }), invalid);
    await assert.rejects(loadWorkload({ use: 'photos' }, { baseDir: dir }), invalid);
  });
});
