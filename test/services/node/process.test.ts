// The node as a process: what it prints, how it ends.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { childNode } from './child-node.js';
import { clientsOf, temporaryFolder } from './harness.js';
import { busy, busyInputs, layers, rows } from './models.js';

const parameters = new Map<string, string>();

test('SIGTERM finishes what is running, then exits with 0', async (t) => {
  const node = await childNode(t, ['--tier', 'edge', '--threads', '1', '--engine', 'native']);
  const { data, control, deploy } = clientsOf(t, node);
  // Connections of callers that are idle, and whose messages were empty, must not hold it up.
  await Promise.all([data.ready(), control.describe()]);
  await deploy('busy', busy());
  const run = data.infer({ modelName: 'busy', parameters, inputs: busyInputs(1000) });
  await sleep(100);
  node.kill('SIGTERM');
  assert.equal((await run).outputs.length, 1);
  assert.equal(await node.ended(), 0);
});

test('a second signal ends it at once', async (t) => {
  const node = await childNode(t, ['--tier', 'edge', '--threads', '1']);
  const { data, deploy } = clientsOf(t, node);
  await deploy('busy', busy());
  const run = assert.rejects(data.infer({ modelName: 'busy', parameters, inputs: busyInputs(1_000_000) }), {
    kind: 'unavailable',
  });
  await sleep(100);
  node.kill('SIGTERM');
  while (!node.log().includes('SIGTERM')) await sleep(10);
  node.kill('SIGTERM');
  await run;
  assert.equal(await node.ended(), 'SIGKILL');
});

test('with --exit-with-parent it ends when its standard input does', async (t) => {
  const node = await childNode(t, ['--tier', 'edge', '--threads', '1', '--exit-with-parent']);
  node.child.stdin?.end();
  assert.equal(await node.ended(), 0);
});

test('a tier of its own from a file, and a model served from where it lies', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'phone.yaml'), 'engine: wasm\nthreads: 1\n');
  await writeFile(join(folder, 'm.onnx'), layers(0, 2));
  const node = await childNode(t, ['--tier', join(folder, 'phone.yaml'), '--model', `m=${join(folder, 'm.onnx')}`]);
  const { data, control } = clientsOf(t, node);
  const { tier, environmentJson } = await control.describe();
  assert.equal(tier, 'phone');
  const environment = JSON.parse(environmentJson) as Record<string, unknown>;
  assert.equal(environment.engine, 'wasm');
  assert.equal(environment.threads, 1);
  assert.equal(environment.threadsReason, 'set for the tier');
  assert.match(String(environment.runtime), /onnxruntime-web \d/);
  const answer = await data.infer({ modelName: 'm', parameters, inputs: rows(1) });
  assert.deepEqual(answer.outputs[0]?.tensor.shape, [1, 64]);
});

test('what is wrong with the command line ends it with the exit code of its kind', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'bad.onnx'), 'no model');
  await writeFile(join(folder, 'bad.yaml'), 'threds: 1\n');
  for (const [args, code, message] of [
    [['--tier', 'nowhere'], 4, /no tier "nowhere"/],
    [['--tier', join(folder, 'bad.yaml')], 3, /bad\.yaml:1: threds: unknown key/],
    [['--tier', 'edge', '--engine', 'abacus'], 3, /no engine "abacus"/],
    [['--tier', 'edge', '--model', 'm'], 2, /NAME=FILE/],
    [['--tier', 'edge', '--model', `m=${join(folder, 'bad.onnx')}`], 3, /deployment "m".*opened/],
    [['--tier', 'edge', '--threads', '-1'], 2, /whole number/],
  ] as const) {
    await assert.rejects(
      childNode(t, args),
      (error: Error) => error.message.includes(`ended with ${code}`) && message.test(error.message),
      args.join(' '),
    );
  }
});
