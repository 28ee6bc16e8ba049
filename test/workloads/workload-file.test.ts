import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { GraphBuilder } from '../../onnx/build.js';
import { writeModel } from '../../onnx/write.js';
import { loadWorkloadFile } from '../../workloads/workload-file.js';

/** A model of two numbers whose scores are these weights times them. */
async function writeLinear(path: string, weights: readonly (readonly number[])[]): Promise<void> {
  const g = new GraphBuilder({ name: 'linear' });
  const x = g.input('x', 'float32', [1, 2]);
  const classes = weights[0]?.length ?? 0;
  const weight = g.weight('w', [2, classes], () => Float32Array.from(weights.flat()));
  g.output(g.node('MatMul', [x, weight], {}, 'y'), 'float32', [1, classes]);
  await writeModel(g.build(), path);
}

/** Twelve items: (1, 0) labelled 0 and (0, 1) labelled 1, by turns, each with a little of its number in it. */
async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tierbed-workload-file-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, 'data'));
  const values = Array.from({ length: 12 }, (_, i) => [1 - (i % 2), i % 2].map((v) => v + i / 1000)).flat();
  await writeFile(join(dir, 'data', 'x.bin'), Buffer.from(Float32Array.from(values).buffer));
  await writeFile(join(dir, 'data', 'l.csv'), `label\n${Array.from({ length: 12 }, (_, i) => i % 2).join('\n')}\n`);
  await writeLinear(join(dir, 'net.onnx'), [
    [1, 0],
    [0, 1],
  ]);
  const cache = process.env.TIERBED_CACHE;
  process.env.TIERBED_CACHE = join(dir, 'cache');
  t.after(() => {
    if (cache === undefined) delete process.env.TIERBED_CACHE;
    else process.env.TIERBED_CACHE = cache;
  });
  return dir;
}

const GOOD = `name: numbers
model: net.onnx
data:
  loader: tensor-file
  path: data/x.bin
  stored: float32
  input: x
  shape: [1, 2]
  labels: data/l.csv
split: { calibration: 4, tuning: 2, seed: 5 }
preprocess: { kind: tensors }
postprocess: { kind: argmax, output: y }
metric: top1
`;

async function write(dir: string, text: string): Promise<string> {
  const path = join(dir, 'w.yaml');
  await writeFile(path, text);
  return path;
}

async function refusal(dir: string, from: string | RegExp, to: string, model?: string): Promise<string> {
  const text = GOOD.replace(from, to);
  assert.notEqual(text, GOOD, 'the test changes nothing');
  try {
    await loadWorkloadFile(await write(dir, text), { model });
  } catch (error) {
    assert.ok(error instanceof TierbedError, String(error));
    return `${error.kind} ${error.message.slice(error.message.lastIndexOf('w.yaml'))} ${error.fix}`;
  }
  throw new Error('accepted');
}

describe('a workload file', () => {
  it('has what a study has, relative to itself', async (t) => {
    const dir = await folder(t);
    const workload = await loadWorkloadFile(await write(dir, GOOD));
    assert.equal(workload.name, 'numbers');
    assert.equal(workload.modelPath, join(dir, 'net.onnx'));
    assert.deepEqual([workload.calibration.length, workload.tuning.length, workload.items.length], [4, 2, 6]);
    assert.equal(workload.metric, 'top1');
    const again = await loadWorkloadFile(await write(dir, GOOD));
    assert.deepEqual(
      again.calibration.map(({ id }) => id),
      workload.calibration.map(({ id }) => id),
    );
  });

  it('may leave its model to whoever uses it, who comes first', async (t) => {
    const dir = await folder(t);
    const other = join(dir, 'other.onnx');
    await writeLinear(other, [[1], [1]]);
    const without = await write(dir, GOOD.replace('model: net.onnx\n', '').replace('name: numbers\n', ''));
    const workload = await loadWorkloadFile(without, { model: other });
    assert.deepEqual([workload.modelPath, workload.name], [other, 'other']);
    assert.equal((await loadWorkloadFile(await write(dir, GOOD), { model: other })).modelPath, other);
    assert.match(await refusal(dir, 'model: net.onnx\n', ''), /^invalid w\.yaml:1: model: .*names no model.*model: FILE/);
  });

  it('is refused with file, line, key and what to do', async (t) => {
    const dir = await folder(t);
    const wrong: [string | RegExp, string, RegExp][] = [
      ['metric: top1', 'metrics: top1', /^invalid w\.yaml:14: metrics: unknown key.*Did you mean 'metric'/],
      ['metric: top1', 'metric: bleu', /^invalid w\.yaml:14: metric: "bleu" is not allowed; allowed: top1, top5/],
      ['metric: top1', 'metric: top5', /^invalid w\.yaml:14: metric: 'top5' needs the five likeliest.*`top: 5`/],
      ['metric: top1', 'metric: { f1: { positive: 7 } }', /^invalid w\.yaml:14: metric\.f1\.positive: no item .* 0, 1/],
      ['metric: top1', 'metric: mse', /^invalid w\.yaml:14: metric: 'mse' compares numbers.*kind: numbers/],
      ['kind: argmax, output: y', 'kind: digest', /^invalid w\.yaml:14: metric: 'top1' compares classes/],
      ['output: y', 'output: y, classes: [a, b]', /^invalid w\.yaml:13: postprocess\.classes: no label is among/],
      [/ {2}labels.*\n/, '', /^invalid w\.yaml:13: metric: 'top1' needs labels, and the data has none/],
      ['calibration: 4', 'calibration: 40', /^invalid w\.yaml:10: split: 40 \+ 2 items are asked for, and the data has 12/],
      ['seed: 5', 'sead: 5', /^invalid w\.yaml:10: split\.sead: unknown key/],
      ['data/x.bin', 'data/y.bin', /^missing w\.yaml:3: data: .*y\.bin does not exist/],
      ['net.onnx', 'none.onnx', /^missing w\.yaml:2: model: .*none\.onnx does not exist/],
      ['shape: [1, 2]', 'shape: [1, 7]', /^invalid w\.yaml:3: data: .*no multiple of a record/],
      ['metric: top1', 'metric: top1\nparts: { tuning: { loader: cifar, path: x } }', /^invalid w\.yaml:15: parts: either/],
      ['metric: top1', 'metric: [', /^invalid w\.yaml:1\d: /],
      ['metric: top1', 'metric: { agreement: { with: none.onnx } }', /^missing w\.yaml:14: metric: .*none\.onnx/],
    ];
    for (const [from, to, text] of wrong) assert.match(await refusal(dir, from, to), text, to);
    await assert.rejects(loadWorkloadFile(join(dir, 'none.yaml')), { kind: 'missing' });
    const own = await write(dir, 'name: mine\nuse: photos\n');
    await assert.rejects(loadWorkloadFile(own), /w\.yaml:2: use: "photos" is not allowed; allowed: pictures/);
  });

  it('takes parts from data of their own, which must not be the same', async (t) => {
    const dir = await folder(t);
    await writeFile(join(dir, 'data', 'c.bin'), Buffer.from(Float32Array.of(5, 6, 7, 8).buffer));
    const part = (path: string) =>
      `parts: { calibration: { loader: tensor-file, path: ${path}, stored: float32, input: x, shape: [1, 2] } }\n`;
    const with_ = (path: string) => GOOD.replace(/split.*\n/, part(path)).replace('top1', 'none');
    const workload = await loadWorkloadFile(await write(dir, with_('data/c.bin')));
    assert.deepEqual([workload.calibration.length, workload.tuning.length, workload.items.length], [2, 0, 12]);
    await assert.rejects(
      loadWorkloadFile(await write(dir, with_('data/x.bin'))),
      (error) => error instanceof TierbedError && /w\.yaml:10: parts\.calibration: 12 of its 12 items/.test(error.message),
    );
  });
});

/** Counts what is worked on. */
function counting(): Progress & { readonly labels: string[] } {
  const labels: string[] = [];
  return { labels, start: (label) => labels.push(label), update() {}, stop() {} };
}

describe('labels that the data does not have', () => {
  it('are what another model predicts, made once', async (t) => {
    const dir = await folder(t);
    const other = join(dir, 'other.onnx');
    // It says 1 of everything.
    await writeLinear(other, [
      [0, 1],
      [0, 1],
    ]);
    const text = GOOD.replace('metric: top1', 'metric: { agreement: { with: other.onnx } }').replace(/ {2}labels.*\n/, '');
    const path = await write(dir, text);
    const first = counting();
    const workload = await loadWorkloadFile(path, { progress: first });
    for (const part of [workload.items, workload.calibration, workload.tuning]) {
      assert.ok(part.length > 0 && part.every(({ label }) => label === '1'));
    }
    assert.equal(first.labels.length, 3);
    const second = counting();
    const again = await loadWorkloadFile(path, { progress: second });
    assert.deepEqual(second.labels, []);
    assert.ok(again.items.every(({ label }) => label === '1'));
    // Another model of the same name is another one, and a damaged file is made anew.
    await writeLinear(other, [
      [1, 0],
      [1, 0],
    ]);
    assert.ok((await loadWorkloadFile(path)).items.every(({ label }) => label === '0'));
    const kept = join(dir, 'cache', 'labels');
    for (const file of await readdir(kept)) await writeFile(join(kept, file), '["0"');
    assert.ok((await loadWorkloadFile(path)).items.every(({ label }) => label === '0'));
    for (const file of await readdir(kept)) {
      const text = await readFile(join(kept, file), 'utf8');
      assert.ok(text === '["0"' || Array.isArray(JSON.parse(text)));
    }
  });

  it('are refused of a model that takes other inputs', async (t) => {
    const dir = await folder(t);
    const g = new GraphBuilder({ name: 'other' });
    const z = g.input('z', 'float32', [1, 2]);
    g.output(g.node('Relu', [z], {}, 'y'), 'float32', [1, 2]);
    await writeModel(g.build(), join(dir, 'other.onnx'));
    const text = await refusal(dir, 'metric: top1', 'metric: { agreement: { with: other.onnx } }');
    assert.match(text, /w\.yaml:14: metric: item '\d+': .*takes 'z', which the items do not have.*: x\./);
  });

  it('are an input of the model, for an autoencoder', async (t) => {
    const dir = await folder(t);
    const text = GOOD.replace('metric: top1', 'metric: { mse: { against: x } }')
      .replace('kind: argmax', 'kind: numbers')
      .replace(/ {2}labels.*\n/, '');
    const workload = await loadWorkloadFile(await write(dir, text));
    assert.deepEqual(
      [...workload.calibration, ...workload.tuning, ...workload.items].map(({ id, label }) => {
        const [a, b] = label.split(' ').map(Number) as [number, number];
        const i = Number(id);
        return Math.abs(a - (1 - (i % 2)) - i / 1000) < 1e-6 && Math.abs(b - (i % 2) - i / 1000) < 1e-6;
      }),
      Array.from({ length: 12 }, () => true),
    );
    await assert.rejects(
      loadWorkloadFile(await write(dir, text.replace('against: x', 'against: z'))),
      (error) => error instanceof TierbedError && /w\.yaml:1\d: metric: item '\d+': .*no input 'z'/.test(error.message),
    );
  });
});
