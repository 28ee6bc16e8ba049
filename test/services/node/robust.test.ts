// Bad input and bad luck: each gets a clear error, leaves other work untouched and hangs nothing.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../../base/errors.js';
import { startNode } from '../../../services/node/node.js';
import { Store } from '../../../services/node/store.js';
import { InferenceWorker } from '../../../services/node/worker-client.js';
import { connect, InferenceClient } from '../../../services/rpc/client.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import { childNode } from './child-node.js';
import { clientsOf, sha256, temporaryFolder, testNode } from './harness.js';
import { busy, busyInputs, identity, layers, rows } from './models.js';

const parameters = new Map<string, string>();
/** Long enough that whatever is sent meanwhile is answered meanwhile, on any machine. */
const LONG = 1500;

test('health, metrics and other calls are answered while the node computes', async (t) => {
  const { node, data, deploy } = await testNode(t);
  await deploy('busy', busy());
  const order: string[] = [];
  const done = (what: string) => () => order.push(what);
  const run = data.infer({ modelName: 'busy', parameters, inputs: busyInputs(LONG) }).then(done('run'));
  await sleep(50);
  const paths = ['healthz', 'readyz', 'metrics'].map((path) => fetch(`http://${node.metricsAddress}/${path}`));
  await Promise.all([
    ...paths.map((response) => response.then((r) => r.text()).then(done('http'))),
    data.ready().then(done('ready')),
    data.modelMetadata('busy').then(done('metadata')),
  ]);
  await run;
  assert.equal(order.length, 6);
  assert.equal(order.at(-1), 'run');
});

test('a node forwards while it computes', async (t) => {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  await edge.deploy('m', layers(0, 2));
  await mobile.deploy('m', undefined, { next: { address: edge.node.dataAddress, deployment: 'm' } });
  await mobile.deploy('busy', busy());
  const order: string[] = [];
  const run = mobile.data
    .infer({ modelName: 'busy', parameters, inputs: busyInputs(LONG) })
    .then(() => order.push('run'));
  await sleep(50);
  await mobile.data.infer({ modelName: 'm', parameters, inputs: rows(1) }).then(() => order.push('forwarded'));
  await run;
  assert.deepEqual(order, ['forwarded', 'run']);
});

test('a full queue turns requests away, and serves those it took', async (t) => {
  const { data, deploy } = await testNode(t, { queueLimit: 1 });
  await deploy('busy', busy());
  const infer = (rounds: number) => data.infer({ modelName: 'busy', parameters, inputs: busyInputs(rounds) });
  const first = infer(LONG);
  await sleep(100);
  const second = infer(1);
  await sleep(50);
  await assert.rejects(infer(1), { kind: 'exhausted', message: /queue is full/ });
  await Promise.all([first, second]);
});

test('a request that waits or runs past its deadline ends in time, and the node goes on', async (t) => {
  const { data, deploy } = await testNode(t);
  await deploy('busy', busy());
  const infer = (rounds: number, deadlineMs?: number) =>
    data.infer({ modelName: 'busy', parameters, inputs: busyInputs(rounds) }, { deadlineMs });
  const long = infer(LONG);
  await sleep(50);
  await assert.rejects(infer(1, Date.now() + 100), { kind: 'timeout' });
  await long;
  await infer(1);
});

test('a client that goes away takes its waiting request with it', async (t) => {
  const { node, data, deploy } = await testNode(t);
  await deploy('busy', busy());
  const first = data.infer({ modelName: 'busy', parameters, inputs: busyInputs(LONG) });
  await sleep(50);
  const caller = new AbortController();
  const gone = assert.rejects(
    data.infer({ modelName: 'busy', parameters, inputs: busyInputs(LONG) }, { signal: caller.signal }),
    { kind: 'cancelled' },
  );
  const waiting = async (): Promise<string> =>
    (await (await fetch(`http://${node.metricsAddress}/metrics`)).text())
      .split('\n')
      .find((line) => line.startsWith('tierbed_queue_requests')) as string;
  await until(async () => (await waiting()).endsWith(' 1'));
  caller.abort();
  await gone;
  await until(async () => (await waiting()).endsWith(' 0'));
  await first;
  await data.infer({ modelName: 'busy', parameters, inputs: busyInputs(1) });
});

test('a next hop that is down is named, and is used again when it is back', async (t) => {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  await edge.deploy('m', layers(0, 2));
  const port = Number(edge.node.dataAddress.split(':')[1]);
  await mobile.deploy('m', undefined, { next: { address: edge.node.dataAddress, deployment: 'm' } });
  await edge.node.close(0);
  const infer = () => mobile.data.infer({ modelName: 'm', parameters, inputs: rows(1) });
  await assert.rejects(infer(), (error) => error instanceof TierbedError && error.kind === 'unavailable');
  const back = await testNode(t, { dataPort: port });
  await back.deploy('m', layers(0, 2));
  await until(() =>
    infer().then(
      () => true,
      () => false,
    ),
  );
});

test('a node killed in the middle of a request leaves its caller with an error, not a wait', async (t) => {
  const edge = await childNode(t, ['--tier', 'edge', '--threads', '1']);
  const { deploy } = clientsOf(t, edge);
  const mobile = await testNode(t, { tier: 'mobile' });
  await deploy('busy', busy(), { preprocessJson: JSON.stringify({ kind: 'tensors' }) });
  await mobile.deploy('busy', undefined, { next: { address: edge.dataAddress, deployment: 'busy' } });
  const item = await mobile.put(encodeItemFile(busyInputs(100_000) as never));
  const sample = mobile.control.runSample({ deployment: 'busy', itemSha256: item, sampleId: 's', deadlineMs: 0 });
  await sleep(200);
  edge.kill('SIGKILL');
  await assert.rejects(sample, { kind: 'unavailable' });
});

test('a message over the limit is refused on both sides of the wire', async (t) => {
  const { node, data, deploy } = await testNode(t, { maxMessageBytes: 100_000 });
  await deploy('m', layers(0, 2));
  const infer = (client: InferenceClient, count: number) =>
    client.infer({ modelName: 'm', parameters, inputs: rows(1, count) });
  await assert.rejects(infer(data, 1000), { kind: 'exhausted', message: /100000/ });
  const small = connect(node.dataAddress, { maxMessageBytes: 50_000 });
  t.after(() => small.close());
  await assert.rejects(infer(new InferenceClient(small), 300), { kind: 'exhausted', message: /50000/ });
  await infer(data, 1);
});

test('a port in use is named, and nothing of the node stays', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const storeDir = await temporaryFolder(t);
  for (const taken of ['dataPort', 'metricsPort', 'controlPort']) {
    const ports = { dataPort: 0, metricsPort: 0, controlPort: 0, [taken]: port };
    await assert.rejects(
      startNode({ tier: 'edge', storeDir, ...ports }),
      (error) => error instanceof TierbedError && error.kind === 'unavailable' && error.message.includes(String(port)),
      taken,
    );
  }
});

test('a full disk fails the file that came, not the node', async (t) => {
  const store = await Store.open(await temporaryFolder(t), async () => {
    throw Object.assign(new Error('write'), { code: 'ENOSPC' });
  });
  const { control, data } = await testNode(t, { store });
  const content = layers(0, 2);
  await assert.rejects(control.putFile(content, sha256(content)), { kind: 'exhausted', message: /disk/ });
  assert.equal(await data.ready(), true);
});

test('a file that is not what its hash says is refused', async (t) => {
  const { control } = await testNode(t);
  const hash = sha256(layers(0, 2));
  await assert.rejects(control.putFile(layers(0, 3), hash), { kind: 'invalid', message: /sha256/ });
  assert.deepEqual(await control.missingFiles([hash]), [hash]);
});

test('an inference thread that dies fails what it had, and another takes over', async (t) => {
  const worker = new InferenceWorker(new URL('./mortal-worker.js', import.meta.url));
  const { node, data, deploy } = await testNode(t, { worker });
  await deploy('m', identity('string'));
  const infer = (text: string) =>
    data.infer({
      modelName: 'm',
      parameters,
      inputs: [{ name: 'x', tensor: { dtype: 'string', shape: [1, 2], data: [Buffer.from(text), Buffer.from('b')] } }],
    });
  await infer('a');
  await assert.rejects(infer('die'), { kind: 'internal', message: /inference thread died/ });
  const answer = await infer('c');
  const texts = answer.outputs[0]?.tensor.data as Uint8Array[];
  assert.equal(Buffer.from(texts[0] as Uint8Array).toString(), 'c');
  assert.match(await (await fetch(`http://${node.metricsAddress}/metrics`)).text(), /worker_deaths_total\S* 1/);
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}
