import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GraphBuilder } from '../../onnx/build.js';
import { encodeModel } from '../../onnx/encode.js';
import { float32Tensor } from '../../onnx/tensor.js';
import { tierbed } from '../support/tierbed.js';

const dir = mkdtempSync(join(tmpdir(), 'tierbed-cli-inspect-'));
after(() => rmSync(dir, { recursive: true }));

/** A chain of Muls long enough that the table leaves cuts out. */
function chain(length: number): string {
  const g = new GraphBuilder({ name: 'chain' });
  let at = g.input('x', 'float32', ['N', 'S']);
  const w = g.initializer('w', float32Tensor([1], Float32Array.of(2)));
  for (let i = 0; i < length; i++) at = g.node('Mul', [at, w], {}, `m${i}`);
  g.output(at, 'float32', ['N', 'S']);
  const path = join(dir, `chain-${length}.onnx`);
  writeFileSync(path, encodeModel(g.build()));
  return path;
}

test('inspect --json prints one object with exactly the documented keys', async () => {
  const { code, stdout } = await tierbed('inspect', chain(3), '--dim', 'S=8', '--json');
  assert.equal(code, 0);
  const inspection = JSON.parse(stdout);
  assert.deepEqual(Object.keys(inspection), ['inputs', 'outputs', 'opset', 'parameters', 'macs', 'nodes', 'cuts']);
  assert.deepEqual(inspection.inputs, [{ name: 'x', dtype: 'float32', shape: ['N', 'S'] }]);
  assert.deepEqual(inspection.cuts[0], {
    tensors: ['m0'],
    bytes: 32,
    before: { nodes: 1, parameters: 1, macs: 0 },
    after: { nodes: 2, parameters: 1, macs: 0 },
  });
});

test('inspect shows a table, shortened where there are many cuts', async () => {
  const short = await tierbed('inspect', chain(3));
  assert.match(short.stdout, /x: float32 \[N, S\]/);
  assert.match(short.stdout, /2 places to cut it in two, from/);
  assert.match(short.stdout, /4 B .*1 \| 2 .* m0/);
  const long = await tierbed('inspect', chain(60));
  assert.match(long.stdout, /59 places to cut it in two; the 40 that send the fewest bytes/);
  assert.equal(long.stdout.match(/ m\d+ /g)?.length, 40);
  assert.equal((await tierbed('inspect', chain(60), '--all')).stdout.match(/ m\d+ /g)?.length, 59);
});

test('inspect says what is wrong, with an exit code for each kind', async () => {
  const missing = await tierbed('inspect', join(dir, 'no.onnx'));
  assert.deepEqual([missing.code, missing.stdout], [4, '']);
  assert.match(missing.stderr, /tierbed: cannot read model .*no\.onnx[\s\S]*fix: /);
  writeFileSync(join(dir, 'bad.onnx'), 'not a model');
  const bad = await tierbed('inspect', join(dir, 'bad.onnx'), '--json');
  assert.deepEqual([bad.code, bad.stdout], [3, '']);
  assert.match(bad.stderr, /bad\.onnx is not an ONNX model/);
  assert.equal((await tierbed('inspect', chain(3), '--dim', 'S')).code, 2);
  const unknown = await tierbed('inspect', chain(3), '--dim', 'T=1');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /no input has a dimension T[\s\S]*N, S/);
});
