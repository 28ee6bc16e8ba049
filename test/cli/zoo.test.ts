import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tierbed-cli-zoo-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function tierbed(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

test('zoo list names the networks, for people and for programs', async () => {
  const table = await tierbed('zoo', 'list');
  assert.equal(table.code, 0);
  assert.match(table.stdout, /wide_resnet101_2.*126\.89 M.*layer3\.16/);
  assert.match(table.stdout, /roberta-tiny.*27\.98 M/);
  const networks = JSON.parse((await tierbed('zoo', 'list', '--json')).stdout) as Record<string, unknown>[];
  assert.equal(networks.length, 14);
  for (const network of networks) {
    assert.deepEqual(Object.keys(network), [
      'name',
      'task',
      'role',
      'parameters',
      'buffers',
      'weightBytes',
      'inputs',
      'outputs',
      'cuts',
      'studyCut',
      'paper',
      'reference',
    ]);
  }
});

test('zoo build takes what is other than published, and weights to train from', async () => {
  const out = join(folder, 'small.onnx');
  const args = ['resnet20', '--set', 'classes=3', '--set', 'channels=[8, 8, 16]', '--fresh', '--out', out, '--json'];
  const { code, stdout, stderr } = await tierbed('zoo', 'build', ...args);
  assert.equal(code, 0, stderr);
  const { parameters } = JSON.parse(stdout) as { parameters: number };
  assert.ok(parameters > 10_000 && parameters < 30_000, stdout);
  const wrong = await tierbed('zoo', 'build', 'resnet20', '--set', 'layers=3', '--out', out);
  assert.match(wrong.stderr, /layers: unknown key; allowed: classes, imageSize, blocks/);
});

test('zoo build writes a model of full size that runs', async () => {
  const out = join(folder, 'resnext50.onnx');
  const { code, stdout, stderr } = await tierbed(
    'zoo',
    'build',
    'resnext50_32x4d',
    '--seed',
    '3',
    '--out',
    out,
    '--json',
  );
  assert.equal(code, 0, stderr);
  const bytes = statSync(out).size;
  assert.deepEqual(JSON.parse(stdout), { name: 'resnext50_32x4d', path: out, bytes, parameters: 25_028_904, seed: 3 });
  assert.ok(bytes > 4 * 25_028_904 && bytes < 4 * 25_200_000, `${bytes} bytes`);
  const session = await ort.InferenceSession.create(out, { intraOpNumThreads: 1, graphOptimizationLevel: 'disabled' });
  const picture = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i));
  const { logits } = await session.run({ input: new ort.Tensor('float32', picture, [1, 3, 224, 224]) });
  await session.release();
  const values = [...(logits?.data ?? [])].map(Number);
  assert.equal(values.length, 1000);
  assert.ok(values.every((v) => Number.isFinite(v) && Math.abs(v) < 1000));
  assert.ok(new Set(values).size > 900, 'the logits hardly differ');
});

test('what zoo cannot do is refused with a reason and an exit code, and leaves no file', async () => {
  const out = join(folder, 'none.onnx');
  const unknown = await tierbed('zoo', 'build', 'resnet18', '--out', out);
  assert.equal(unknown.code, 4);
  assert.match(unknown.stderr, /no network resnet18[\s\S]*wide_resnet101_2/);
  const seed = await tierbed('zoo', 'build', 'bert-small', '--seed', '-1.5', '--out', out);
  assert.equal(seed.code, 2);
  assert.match(seed.stderr, /seed[\s\S]*not a whole number/);
  const absent = await tierbed('zoo', 'build', 'bert-small', '--weights', join(folder, 'absent'), '--out', out);
  assert.equal(absent.code, 4);
  assert.match(absent.stderr, /cannot read .*absent/);
  const broken = join(folder, 'broken.safetensors');
  writeFileSync(broken, 'not a checkpoint');
  const bad = await tierbed('zoo', 'build', 'bert-small', '--weights', broken, '--out', out);
  assert.equal(bad.code, 3);
  assert.match(bad.stderr, /broken\.safetensors is not a valid safetensors file/);
  assert.throws(() => statSync(out), /ENOENT/);
});
