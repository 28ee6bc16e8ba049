import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GraphBuilder } from '../../onnx/build.js';
import { encodeModel } from '../../onnx/encode.js';
import type { Model } from '../../onnx/model.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { runModel, sameBytes, seededInputs } from '../support/run-model.js';
import { tierbed } from '../support/tierbed.js';

const dir = mkdtempSync(join(tmpdir(), 'tierbed-cli-cut-'));
after(() => rmSync(dir, { recursive: true }));

function sample(): Model {
  const g = new GraphBuilder({ name: 'sample' });
  const x = g.input('x', 'float32', ['N', 3]);
  const a = g.node('Mul', [x, g.initializer('w', float32Tensor([3], Float32Array.of(1, 2, 3)))], {}, 'a');
  const b = g.node('Relu', [a], {}, 'b');
  const c = g.node('Add', [a, b], {}, 'c');
  g.output(g.node('Neg', [c], {}, 'y,z'), 'float32', ['N', 3]);
  return g.build();
}
const path = join(dir, 'sample.onnx');
writeFileSync(path, encodeModel(sample()));

test('cut writes stages that compute what the model does, and says what crosses', async () => {
  const out = join(dir, 'new', 'stages');
  const { code, stdout } = await tierbed('cut', path, '--at', 'b,a', '--at', 'c', '--out', out, '--json');
  assert.equal(code, 0);
  const files = [0, 1, 2].map((i) => join(out, `stage-${i}.onnx`));
  assert.deepEqual(JSON.parse(stdout), {
    stages: [
      { file: files[0], bytes: statSync(files[0] as string).size, nodes: 2, parameters: 3, macs: 0 },
      { file: files[1], bytes: statSync(files[1] as string).size, nodes: 1, parameters: 0, macs: 0 },
      { file: files[2], bytes: statSync(files[2] as string).size, nodes: 1, parameters: 0, macs: 0 },
    ],
    cuts: [
      { tensors: ['a', 'b'], bytes: 24 },
      { tensors: ['c'], bytes: 12 },
    ],
  });
  const feeds = seededInputs(sample());
  let values = feeds;
  for (const file of files) values = await runModel(file, values);
  assert.ok(sameBytes(values, await runModel(path, feeds)));
});

test('cut shows a table', async () => {
  const { code, stdout } = await tierbed('cut', path, '--at', 'c', '--dim', 'N=2', '--out', join(dir, 'table'));
  assert.equal(code, 0);
  assert.match(stdout, /stage-0\.onnx.* 3 .*24 B: c/);
  assert.match(stdout, /stage-1\.onnx/);
});

test('a set that does not separate the model is refused with what is missing, and nothing is written', async () => {
  const out = join(dir, 'none');
  const { code, stdout, stderr } = await tierbed('cut', path, '--at', 'b', '--out', out);
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /a cut at b does not separate the graph: a must cross too\n {2}fix: cut at a,b/);
  assert.ok(!existsSync(out));
});

test('a folder with stages of an earlier, longer cut is refused', async () => {
  const out = join(dir, 'again');
  assert.equal((await tierbed('cut', path, '--at', 'a', '--at', 'c', '--out', out)).code, 0);
  const { code, stderr } = await tierbed('cut', path, '--at', 'c', '--out', out);
  assert.equal(code, 5);
  assert.match(stderr, /stage-2\.onnx of an earlier cut/);
  assert.equal((await tierbed('cut', path, '--at', 'a', '--at', 'c', '--out', out)).code, 0);
  assert.equal(readdirSync(out).length, 3);
});

test('cut without tensors or folder is a usage error', async () => {
  assert.equal((await tierbed('cut', path, '--out', dir)).code, 2);
  assert.equal((await tierbed('cut', path, '--at', 'c')).code, 2);
});
