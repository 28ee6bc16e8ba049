import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const LOOK = `
import { readdirSync } from 'node:fs';
import { InferenceWorker } from '${new URL('../../services/node/worker-client.js', import.meta.url)}';
const threads = () => readdirSync('/proc/self/task').length;
const worker = new InferenceWorker();
// The thread is there then, and the library is not loaded yet.
await worker.call('calibrate', { jobs: 1, withinMs: 1 });
const before = threads();
await worker.call('open', { key: 'a', modelPath: '/nonexistent.onnx', engine: 'native', threads: 1, graphOptimization: false }).catch(() => {});
await new Promise((resolve) => setTimeout(resolve, 500));
console.log(JSON.stringify({ more: threads() - before, variable: process.env.ORT_DISABLE_TELEMETRY }));
process.exit(0);
`;

const skip = process.platform === 'linux' ? false : 'the library begins that thread on Linux';

test('the library begins no thread of its own when a node loads it', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tierbed-telemetry-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const script = join(folder, 'look.mjs');
  writeFileSync(script, LOOK);
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
  const look = async (own: NodeJS.ProcessEnv): Promise<{ more: number; variable: string }> => {
    return JSON.parse((await promisify(execFile)(process.execPath, [script], { env: own })).stdout);
  };
  const without = await look(env);
  const said = await look({ ...env, ORT_DISABLE_TELEMETRY: '1' });
  assert.deepEqual(without, { more: said.more, variable: '1' });
});

test('the library knows the variable', { skip }, async () => {
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = join(folder, 'bin', 'napi-v6', 'linux', process.arch, 'libonnxruntime.so.1');
  assert.ok((await readFile(library)).includes('ORT_DISABLE_TELEMETRY'), library);
});
