import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needsSharedData } from '../support/shared-data.js';

const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

function tierbed(...args: string[]) {
  return spawnSync(process.execPath, [main, 'fetch', ...args], { encoding: 'utf8', timeout: 60_000 });
}

describe('tierbed fetch', () => {
  it('lists what there is, for people and for programs', () => {
    const table = tierbed('--list');
    assert.equal(table.status, 0, table.stderr);
    assert.match(table.stdout, /mnist-cnn.*model.*MIT or Apache-2\.0/);
    const list = JSON.parse(tierbed('--list', '--json').stdout) as { name: string; files: { sha256: string }[] }[];
    assert.ok(list.find(({ name }) => name === 'roberta-base')?.files[0]?.sha256.startsWith('5bde1d28'));
  });

  it('refuses a name it does not know, and none', () => {
    const unknown = tierbed('mnist-cnm');
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /no 'mnist-cnm' to fetch[\s\S]*mnist-cnn/);
    const none = tierbed();
    assert.equal(none.status, 2);
    assert.match(none.stderr, /--list/);
  });

  it('has help with examples', () => {
    assert.match(tierbed('--help').stdout, /Examples:[\s\S]*--mirror/);
  });

  it('takes a published file from a mirror folder', async (t) => {
    const data = needsSharedData(t);
    if (!data) return;
    const dir = await mkdtemp(join(tmpdir(), 'tierbed-fetch-cli-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    await mkdir(join(dir, 'mirror'));
    await copyFile(join(data, 'models/mnist_cnn_opset8.onnx'), join(dir, 'mirror/opt-mnist.onnx'));
    const run = tierbed('mnist-cnn', '--mirror', join(dir, 'mirror'), '--out', join(dir, 'out'), '--json');
    assert.equal(run.status, 0, run.stderr);
    const [file] = JSON.parse(run.stdout) as { status: string; path: string }[];
    assert.equal(file?.status, 'mirrored');
    assert.equal(file?.path, join(dir, 'out/mnist-cnn/opt-mnist.onnx'));
    const missing = tierbed('magika', '--mirror', join(dir, 'mirror'), '--out', join(dir, 'out'));
    assert.equal(missing.status, 4);
    assert.match(missing.stderr, /has no model\.onnx of magika/);
  });
});
