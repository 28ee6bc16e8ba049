import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../base/paths.js';
import { initializerBytes } from '../../onnx/initializer.js';
import { dtypeOf } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import type { Manifest } from '../../operators/manifest.js';
import { writeTinyWorkload } from './tiny-workload.js';

const SOURCES = ['base', 'proto', 'onnx', 'operators', 'workloads', 'analysis', 'services', 'cli'];

test('the operator of docs/operators.md is one file and one line', async (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'tierbed-own-operator-'));
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  for (const name of [...SOURCES, 'package.json', 'tsconfig.json']) {
    cpSync(join(packageRoot, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(copy, 'node_modules'));

  const document = readFileSync(join(packageRoot, 'docs', 'operators.md'), 'utf8');
  const [file, imported] = [...document.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1] as string);
  const name = /^\/\/ (operators\/\S+\.ts)\n/.exec(file ?? '')?.[1];
  assert.ok(file && name && imported, 'the document has a file and its import');
  writeFileSync(join(copy, name), file);
  const table = join(copy, 'operators', 'index.ts');
  const before = readFileSync(table, 'utf8');
  const after = before.replace(/(OPERATORS: readonly Operator\[\] = \[[^\]]*?),?\s*\]/, '$1, roundWeights]');
  assert.notEqual(after, before);
  writeFileSync(table, imported + after);

  writeFileSync(join(copy, 'tsconfig.copy.json'), JSON.stringify({ extends: './tsconfig.json', include: SOURCES }));
  execFileSync(join(packageRoot, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.copy.json'], { cwd: copy });
  const workload = await writeTinyWorkload(join(copy, 'tiny'));
  const env = { ...process.env, TIERBED_CACHE: join(copy, 'cache') };
  const apply = (recipe: string, out: string, ...args: string[]): Manifest => {
    const given = [recipe, '--workload', workload, '--out', join(copy, out), '--quiet', ...args];
    execFileSync(process.execPath, [join(copy, 'dist', 'cli', 'main.js'), 'apply', ...given], { env, stdio: 'pipe' });
    return JSON.parse(readFileSync(join(copy, out, 'manifest.json'), 'utf8')) as Manifest;
  };
  const four = ['--set', 'round-weights.bits=4'];
  const manifest = apply('round-weights', 'rounded', ...four);
  const { graph } = await readModel(join(copy, 'rounded', 'model.onnx'));
  const words = graph.initializers
    .filter(({ dataType }) => dtypeOf(dataType) === 'float32')
    .flatMap((weight) => [...new Uint32Array(Uint8Array.from(initializerBytes(weight)).buffer)]);
  assert.ok(words.length > 500 && words.some((word) => word !== 0));
  assert.ok(words.every((word) => (word & 0x7ffff) === 0));
  assert.deepEqual(
    manifest.recipe.map(({ operator, options, facts }) => ({ operator, options, facts })),
    [{ operator: 'round-weights', options: { bits: 4 }, facts: { weights: graph.initializers.length } }],
  );
  const cut = apply('round-weights+partition', 'cut', ...four, '--set', 'partition.at=relu1');
  assert.equal(cut.stages.length, 2);
  assert.equal(cut.recipe[0]?.cached, true);
  assert.throws(
    () => apply('round-weights', 'wrong', '--set', 'round-weights.bits=24'),
    /round-weights\.bits: must be <= 23/,
  );
});
