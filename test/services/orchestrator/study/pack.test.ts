import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { silent } from '../../../../base/progress.js';
import { GraphBuilder } from '../../../../onnx/build.js';
import { writeModel } from '../../../../onnx/write.js';
import { loadStudy, packStudy } from '../../../../services/orchestrator/index.js';
import { assertPathsInside, isInside, studyPaths } from '../../../../services/orchestrator/study/paths.js';
import { parseStudy } from '../../../../services/orchestrator/study/study.js';
import { writeTinyStudy } from '../tiny-study.js';

const context = { progress: silent, signal: new AbortController().signal };

async function temporary(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-pack-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function pack(path: string) {
  const text = await readFile(path, 'utf8');
  return { text, packed: await packStudy(await loadStudy(path), text, context) };
}

test('a study takes with it what it names, and of a folder only what is read of it', async (t) => {
  const folder = await temporary(t);
  const path = await writeTinyStudy(folder);
  await writeFile(join(folder, 'pictures', 'private.png'), 'x');
  const { text, packed } = await pack(path);
  assert.equal(packed.text, text, 'not a byte is changed');
  assert.deepEqual(packed.files.map((file) => file.path).sort(), [
    'labels.csv',
    'pictures/0.png',
    'pictures/1.png',
    'tiny.onnx',
  ]);
  for (const { path: name, source, bytes } of packed.files) {
    assert.equal(source, join(folder, name));
    assert.equal(bytes, (await readFile(source)).length);
  }
});

test('a scale that is given beside the study goes with it', async (t) => {
  const path = await writeTinyStudy(await temporary(t), { scale: 0.5 });
  const text = await readFile(path, 'utf8');
  const packed = await packStudy(await loadStudy(path, { scale: 0.25 }), text, context);
  assert.deepEqual({ ...parse(packed.text), scale: 0.5 }, parse(text));
  assert.equal(parseStudy(packed.text, 'elsewhere.yaml').study.scale, 0.25);
  const own = await packStudy(await loadStudy(path), text, context);
  assert.equal(own.text, text);
});

test('paths that lead out of the folder, or depend on the environment, are replaced', async (t) => {
  const folder = await temporary(t);
  const path = await writeTinyStudy(join(folder, 'study'));
  await mkdir(join(folder, 'data'));
  await rename(join(folder, 'study', 'pictures'), join(folder, 'data', 'pictures'));
  await copyFile(join(folder, 'study', 'tiny.onnx'), join(folder, 'data', 'other.onnx'));
  process.env.TIERBED_PACK_TEST = join(folder, 'data');
  t.after(() => delete process.env.TIERBED_PACK_TEST);
  const changed = (await readFile(path, 'utf8'))
    .replace('path: pictures', 'path: \x24{TIERBED_PACK_TEST}/pictures')
    .replace('model: tiny.onnx', 'model: ../data/other.onnx')
    .replace('labels: labels.csv', `labels: ${join(folder, 'study', 'labels.csv')}`);
  await writeFile(path, changed);
  const { packed } = await pack(path);
  const study = parseStudy(packed.text, 'elsewhere/tiny.yaml');
  assertPathsInside(study);
  assert.deepEqual(packed.files.map((file) => file.path).sort(), [
    'outside/0/other.onnx',
    'outside/1/pictures/0.png',
    'outside/1/pictures/1.png',
    'outside/2/labels.csv',
  ]);
  // Laid out elsewhere, it is a study whose files are all there.
  const elsewhere = join(folder, 'elsewhere');
  for (const file of packed.files) {
    await mkdir(join(elsewhere, file.path, '..'), { recursive: true });
    await copyFile(file.source, join(elsewhere, file.path));
  }
  await writeFile(join(elsewhere, 'tiny.yaml'), packed.text);
  const again = await pack(join(elsewhere, 'tiny.yaml'));
  assert.equal(again.packed.text, packed.text);
  const of = (files: typeof packed.files) => files.map((file) => [file.path, file.sha256]);
  assert.deepEqual(of(again.packed.files), of(packed.files));
  const { model: _m, data: _d, ...rest } = parse(packed.text).workloads.tiny;
  const { model: _m2, data: _d2, ...before } = parse(changed).workloads.tiny;
  assert.deepEqual(rest, before, 'and nothing else is changed');
});

test('a model takes its external data with it', async (t) => {
  const folder = await temporary(t);
  const path = await writeTinyStudy(folder);
  const g = new GraphBuilder({ name: 'big' });
  const x = g.input('x', 'float32', [1, 64]);
  const w = g.weight('w', [64, 64], () => new Float32Array(64 * 64).fill(0.5));
  g.output(g.node('MatMul', [x, w], {}, 'y'), 'float32', [1, 64]);
  await mkdir(join(folder, 'models'));
  await writeModel(g.build(), join(folder, 'models', 'big.onnx'), { external: 'always' });
  await writeFile(path, (await readFile(path, 'utf8')).replace('tiny.onnx', 'models/big.onnx'));
  const { packed } = await pack(path);
  const models = packed.files.map((file) => file.path).filter((name) => name.startsWith('models/'));
  assert.equal(models.length, 2, String(models));
  assert.ok(models.includes('models/big.onnx'));
});

test('traces of links are files of the study too', () => {
  const file = parseStudy(
    'workloads: { pictures: { use: pictures } }\nrecipes: { whole: [] }\nplacements: [mobile]\nlinks: { mobile-edge: wifi, edge-cloud: lte }\n',
    'x.yaml',
  );
  const links = {
    ...file.study.links,
    'edge-cloud': { trace: 'a.csv', up: { trace: { file: 'b.trace', format: 'mahimahi' } } },
  };
  assert.deepEqual(studyPaths({ ...file.study, links } as unknown as typeof file.study), [
    { at: ['links', 'edge-cloud', 'trace'], path: 'a.csv' },
    { at: ['links', 'edge-cloud', 'up', 'trace', 'file'], path: 'b.trace' },
  ]);
});

test('what is missing is named with file, line and key', async (t) => {
  const folder = await temporary(t);
  const path = await writeTinyStudy(folder);
  await rm(join(folder, 'tiny.onnx'));
  await assert.rejects(pack(path), {
    kind: 'missing',
    message: /tiny\.yaml:\d+: workloads\.tiny\.model: .*tiny\.onnx does not exist/,
  });
});

test('a path is inside when it can lead nowhere else', () => {
  for (const good of ['a', 'a/b', './a', 'a..b', '...']) assert.equal(isInside(good), true, good);
  for (const bad of ['', '/a', '..', '../a', 'a/../b', 'a\\b', '\x24{A}/b', 'a\0'])
    assert.equal(isInside(bad), false, bad);
});
