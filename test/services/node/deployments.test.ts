import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployments } from '../../../services/node/deployments.js';
import { NextHops } from '../../../services/node/next-hops.js';
import { WorkQueue } from '../../../services/node/queue.js';
import { Store } from '../../../services/node/store.js';
import { InferenceWorker } from '../../../services/node/worker-client.js';
import type { CallName, Calls } from '../../../services/node/worker-messages.js';
import { temporaryFolder, testNode } from './harness.js';
import { busy, busyInputs, layers, reshape, rows, withExternalData } from './models.js';

const parameters = new Map<string, string>();

/** A worker that notes which sessions are opened and closed. */
class NotingWorker extends InferenceWorker {
  readonly notes: CallName[] = [];

  override call<K extends CallName>(call: K, argument: Calls[K]['argument'], transfer?: readonly ArrayBuffer[]) {
    if (call === 'open' || call === 'close') this.notes.push(call);
    return super.call(call, argument, transfer);
  }
}

test('deployments of the same model and options share a session, which ends with the last', async (t) => {
  const worker = new NotingWorker();
  const { data, control, deploy } = await testNode(t, { worker });
  await deploy('a', layers(0, 2));
  await deploy('b', layers(0, 2));
  assert.deepEqual(worker.notes, ['open']);
  await deploy('c', layers(0, 2), { graphOptimization: false });
  assert.deepEqual(worker.notes, ['open', 'open'], 'other options, another session');
  await control.undeploy('a');
  assert.deepEqual(worker.notes, ['open', 'open']);
  await data.infer({ modelName: 'b', parameters, inputs: rows(1) });
  await control.undeploy('b');
  assert.deepEqual(worker.notes, ['open', 'open', 'close']);
  await assert.rejects(control.undeploy('b'), { kind: 'missing' });
});

test('a name is replaced while its requests run: they finish on what they began with', async (t) => {
  const edge = await testNode(t);
  const { data, control, deploy } = await testNode(t, { tier: 'mobile' });
  await edge.deploy('busy', busy());
  const next = { address: edge.node.dataAddress, deployment: 'busy' };
  for (const change of [() => deploy('m', layers(0, 2)), () => control.undeploy('m')]) {
    await deploy('m', undefined, { next });
    const order: string[] = [];
    const running = data.infer({ modelName: 'm', parameters, inputs: busyInputs(300) }).finally(() => {
      order.push('answered');
    });
    await sleep(50);
    const changed = change().then(() => order.push('changed'));
    assert.deepEqual((await running).outputs[0]?.tensor.shape, [256, 256]);
    await changed;
    assert.deepEqual(order, ['answered', 'changed']);
  }
});

test('models are unloaded and loaded as in Triton', async (t) => {
  const { data, deploy } = await testNode(t);
  await deploy('m', layers(0, 2));
  await data.repositoryModelUnload('m');
  assert.equal(await data.modelReady('m'), false);
  assert.deepEqual(await data.repositoryIndex(), [
    { name: 'm', version: '1', state: 'UNAVAILABLE', reason: 'unloaded' },
  ]);
  assert.deepEqual(await data.repositoryIndex(true), []);
  await assert.rejects(data.infer({ modelName: 'm', parameters, inputs: rows(1) }), { kind: 'unavailable' });
  await data.repositoryModelLoad('m');
  await data.infer({ modelName: 'm', parameters, inputs: rows(1) });
  await assert.rejects(data.repositoryModelLoad('other'), { kind: 'missing' });
});

test('external data is found beside the model; without it the deployment is refused', async (t) => {
  const { data, control, put } = await testNode(t);
  const model = { path: 'model.onnx', sha256: await put(withExternalData('w/data.bin')) };
  const weights = { path: 'w/data.bin', sha256: await put(new Uint8Array(new Float32Array([10, 20]).buffer)) };
  await assert.rejects(control.deploy({ name: 'm', files: [model], sessionMode: 'WARM' }), { kind: 'invalid' });
  await control.deploy({ name: 'm', files: [model, weights], sessionMode: 'WARM' });
  const x = new Uint8Array(new Float32Array([1, 2]).buffer);
  const inputs = [{ name: 'x', tensor: { dtype: 'float32', shape: [2], data: x } }] as const;
  const [y] = (await data.infer({ modelName: 'm', parameters, inputs })).outputs;
  assert.deepEqual([...new Float32Array(new Uint8Array(y?.tensor.data as Uint8Array).buffer)], [11, 22]);
  await assert.rejects(
    control.deploy({ name: 'm', files: [{ ...model, path: '../model.onnx' }], sessionMode: 'WARM' }),
    { kind: 'invalid', message: /folder/ },
  );
  await assert.rejects(
    control.deploy({ name: 'm', files: [{ path: 'm.onnx', sha256: 'f'.repeat(64) }], sessionMode: 'WARM' }),
    { kind: 'missing' },
  );
});

test('a deployment that makes no sense is refused with what is missing', async (t) => {
  const { deploy } = await testNode(t);
  const model = layers(0, 2);
  await assert.rejects(deploy('m', undefined), { kind: 'invalid', message: /neither a model nor a next stage/ });
  await assert.rejects(deploy('', model), { kind: 'invalid', message: /name/ });
  await assert.rejects(deploy('m', model, { sessionMode: 'SESSION_MODE_UNSPECIFIED' }), { message: /warm or cold/ });
  await assert.rejects(deploy('m', model, { engine: 'abacus' }), { kind: 'invalid', message: /abacus/ });
  await assert.rejects(deploy('m', model, { preprocessJson: '{' }), { kind: 'invalid', message: /preprocess_json/ });
  await assert.rejects(deploy('m', model, { preprocessJson: '{"kind":"magic"}' }), {
    kind: 'invalid',
    message: /magic/,
  });
});

test('a model that cannot run on zeros of its shapes is refused when warm-up is asked for, and says why', async (t) => {
  const { data, deploy } = await testNode(t);
  await assert.rejects(deploy('m', reshape(), { warmupRuns: 1 }), {
    kind: 'invalid',
    message: /warmed up on zeros.*1/,
  });
  await deploy('m', reshape());
  const inputs = rows(1, 2);
  assert.deepEqual((await data.infer({ modelName: 'm', parameters, inputs })).outputs[0]?.tensor.shape, [128]);
});

test('threads that nobody stated are chosen anew at each deployment: a quota can change while a node runs', async (t) => {
  const store = await Store.open(await temporaryFolder(t));
  const worker = new InferenceWorker();
  t.after(() => worker.stop());
  let quota = 0;
  const threads = () => ({ threads: ++quota, reason: `quota ${quota}` });
  const observer = { hopSent: () => {}, hopEnded: () => {} };
  const deployments = new Deployments(store, worker, new WorkQueue(1), new NextHops(observer), {
    engine: 'native',
    threads,
  });
  t.after(() => deployments.close());
  const modelPath = join(await temporaryFolder(t), 'model.onnx');
  await writeFile(modelPath, layers(0, 2));
  const spec = {
    name: 'm',
    files: [],
    modelPath,
    mode: 'warm',
    warmupRuns: 0,
    engine: '',
    graphOptimization: true,
  } as const;
  assert.equal((await deployments.deploy({ ...spec, threads: 0 })).threads, 1);
  const again = await deployments.deploy({ ...spec, threads: 0 });
  assert.deepEqual([again.threads, again.threadsReason], [2, 'quota 2']);
  assert.equal((await deployments.deploy({ ...spec, threads: 3 })).threads, 3);
});

test('engine and threads of a deployment go before those of the node', async (t) => {
  const { data, deploy } = await testNode(t);
  const native = await deploy('native', layers(0, 2));
  const wasm = await deploy('wasm', layers(0, 2), { engine: 'wasm', threads: 2 });
  assert.deepEqual([native.engine, native.threads, native.threadsReason], ['native', 1, 'set for the tier']);
  assert.deepEqual([wasm.engine, wasm.threads, wasm.threadsReason], ['wasm', 2, 'set for the deployment']);
  await data.infer({ modelName: 'wasm', parameters, inputs: rows(1) });
  await assert.rejects(deploy('other', layers(0, 3), { engine: 'wasm', threads: 1 }), { kind: 'refused' });
});
