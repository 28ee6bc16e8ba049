import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Random } from '../../base/random.js';
import { GraphBuilder } from '../../onnx/build.js';
import { encodeModel } from '../../onnx/encode.js';
import type { Explanation } from '../../operators/explain/explain.js';
import { needsSharedData, sharedModels } from '../support/shared-data.js';
import { tierbed } from '../support/tierbed.js';

const dir = mkdtempSync(join(tmpdir(), 'tierbed-cli-explain-'));
after(() => rmSync(dir, { recursive: true }));

/** A product of matrices; `zero` of its 1024 weights are 0. */
function product(name: string, zero = 0, input = 'x'): string {
  const g = new GraphBuilder({ name });
  const w = g.weight('w', [32, 32], () => new Random(1).fillUniform(new Float32Array(1024), 1, 2).fill(0, 0, zero));
  g.output(g.node('Relu', [g.node('MatMul', [g.input(input, 'float32', ['N', 32]), w], {}, 'm')], {}, 'y'), 'float32');
  const path = join(dir, `${name}.onnx`);
  writeFileSync(path, encodeModel(g.build()));
  return path;
}

const FEW = ['--runs', '3', '--threads', '1'];

test('explain --json prints one object with exactly the documented keys', async () => {
  const { code, stdout, stderr } = await tierbed('explain', product('plain'), '--dim', 'N=4', ...FEW, '--json');
  assert.equal(code, 0, stderr);
  const explanation = JSON.parse(stdout) as Explanation;
  assert.deepEqual(Object.keys(explanation), ['model', 'against', 'ratio', 'reasons', 'cpu', 'threads', 'runs']);
  assert.equal(explanation.against, null);
  assert.equal(explanation.ratio, null);
  assert.deepEqual([explanation.threads, explanation.runs], [1, 3]);
  const matMul = explanation.model.nodes.find(({ kernel }) => kernel === 'MatMul');
  assert.equal(matMul?.macs, 4 * 32 * 32);
  assert.equal(matMul?.bytes, 4 * (4 * 32 + 32 * 32 + 4 * 32));
});

test('explain shows kernels, nodes and the verdict, and says that zeros are not faster', async () => {
  const { code, stdout, stderr } = await tierbed(
    'explain',
    product('pruned', 600),
    '--against',
    product('whole'),
    ...FEW,
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /pruned\.onnx: \S+ ms a run \(median of 3, 1 thread\)/);
  assert.match(stdout, /kernel .*original: nodes/);
  assert.match(stdout, /MatMul/);
  assert.match(stdout, /(Slower|Not faster|Faster): .* times as long/);
  assert.match(stdout, /zeros, \S+ ms: 59 % of the weights are zero.* not faster/);
  assert.match(stdout, /Processor: /);
});

test('a model that was pruned is explained beside the one it was made of', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const path = (name: string) => sharedModels(data).find((model) => model.name === name)?.path as string;
  const { code, stdout } = await tierbed('explain', path('squeezenet1.0_deep_compressed'), ...FEW, '--json');
  assert.equal(code, 0);
  const { reasons } = JSON.parse(stdout) as Explanation;
  assert.match(reasons.find(({ reason }) => reason === 'zeros')?.says ?? '', /67 % .*not faster/);
});

test('explain says what is wrong, with an exit code for each kind', async () => {
  const missing = await tierbed('explain', join(dir, 'no.onnx'));
  assert.deepEqual([missing.code, missing.stdout], [4, '']);
  const symbol = await tierbed('explain', product('plain'), '--dim', 'T=1', ...FEW);
  assert.equal(symbol.code, 2);
  assert.match(symbol.stderr, /no input has a dimension T[\s\S]*N/);
  const other = await tierbed('explain', product('plain'), '--against', product('other', 0, 'z'), ...FEW);
  assert.equal(other.code, 3);
  assert.match(
    other.stderr,
    /input "x" is float32 \[N, 32\] in .*plain\.onnx and is not there in .*other\.onnx[\s\S]*fix: /,
  );
  writeFileSync(join(dir, 'bad.onnx'), 'not a model');
  assert.equal((await tierbed('explain', product('plain'), '--against', join(dir, 'bad.onnx'), ...FEW)).code, 3);
  assert.equal((await tierbed('explain', product('plain'), '--runs', '0')).code, 2);
});
