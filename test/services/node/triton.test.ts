// An unmodified tritonclient.grpc asks a node what a Triton user would ask.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { packageRoot } from '../../../base/paths.js';
import { testNode } from './harness.js';
import { identity, layers, rows } from './models.js';

const run = promisify(execFile);

/** The Python of `$TIERBED_PEERS_PYTHON`, or undefined after skipping; one that is set must have tritonclient. */
async function peersPython(t: TestContext): Promise<string | undefined> {
  const python = process.env.TIERBED_PEERS_PYTHON;
  if (!python) {
    t.skip('run bench/peers/setup.sh and set TIERBED_PEERS_PYTHON to .venv/bin/python');
    return undefined;
  }
  await run(python, ['-c', 'import tritonclient.grpc']);
  return python;
}

test('tritonclient finds readiness, metadata and the repository, and infers', async (t) => {
  const python = await peersPython(t);
  if (!python) return;
  const { node, data, deploy } = await testNode(t);
  await deploy('numbers', layers(0, 2));
  await deploy('strings', identity('string'));
  const check = join(packageRoot, 'bench', 'peers', 'triton_check.py');
  const { stdout } = await run(python, [check, node.dataAddress], { timeout: 60_000 });
  const { numbers, wrongShape, ...seen } = JSON.parse(stdout) as {
    numbers: { shape: number[]; dtype: string; sum: number };
    wrongShape: { status: string; message: string };
  };
  assert.deepEqual(seen, {
    live: true,
    ready: true,
    modelReady: true,
    otherReady: false,
    server: 'tierbed',
    metadata: {
      name: 'numbers',
      versions: ['1'],
      platform: 'onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['-1', '64'] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['-1', '64'] }],
    },
    index: ['numbers', 'strings'],
    strings: ['café', ''],
    unloaded: false,
    loaded: true,
  });
  assert.equal(wrongShape.status, 'StatusCode.INVALID_ARGUMENT');
  assert.match(wrongShape.message, /must be float32 \[N, 64\], got float32 \[3, 32\]/);
  const [x] = rows(0, 3) as [{ name: string; tensor: { dtype: 'float32'; shape: number[]; data: Uint8Array } }];
  const ones = new Uint8Array(new Float32Array(3 * 64).fill(1).buffer);
  const answer = await data.infer({
    modelName: 'numbers',
    parameters: new Map(),
    inputs: [{ name: 'x', tensor: { ...x.tensor, data: ones } }],
  });
  const bytes = answer.outputs[0]?.tensor.data as Uint8Array;
  const sum = new Float32Array(new Uint8Array(bytes).buffer).reduce((total, value) => total + value, 0);
  assert.deepEqual([numbers.shape, numbers.dtype], [[3, 64], 'float32']);
  assert.ok(Math.abs(numbers.sum - sum) < 1e-3 * Math.abs(sum) && sum !== 0);
});
