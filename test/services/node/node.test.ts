import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import type { NamedTensor } from '../../../onnx/tensor.js';
import { parseHops } from '../../../services/node/hops.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import { testNode } from './harness.js';
import { layers, rows } from './models.js';

const noParameters = new Map<string, string>();

test('deploys a model, says what it is and runs it', async (t) => {
  const { data, deploy } = await testNode(t);
  const report = await deploy('m', layers(0, 4), { warmupRuns: 2 });
  assert.equal(report.engine, 'native');
  assert.equal(report.threads, 1);
  assert.equal(report.threadsReason, 'set for the tier');
  assert.ok(report.loadMs > 0 && report.warmupMs > 0);
  assert.deepEqual(await data.modelMetadata('m'), {
    name: 'm',
    versions: ['1'],
    platform: 'onnx',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 64] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 64] }],
  });
  const answer = await data.infer({ modelName: 'm', id: 'q1', parameters: noParameters, inputs: rows(1, 3) });
  assert.equal(answer.id, 'q1');
  assert.equal(answer.outputs[0]?.name, 'y');
  assert.deepEqual(answer.outputs[0].tensor.shape, [3, 64]);
  const [hop] = parseHops(answer.parameters.get('tierbed_hops'), 'edge');
  assert.equal(hop?.tier, 'edge');
  assert.equal(hop.ranStage, true);
  assert.ok(hop.computeNs > 0 && hop.handoverNs > 0 && hop.deserialiseNs > 0);
  assert.equal(hop.loadNs, 0);
});

test('two stages on two nodes give the bytes of the whole, and the parts add up', async (t) => {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  const tensors = { preprocessJson: JSON.stringify({ kind: 'tensors' }), graphOptimization: false };
  const post = { postprocessJson: JSON.stringify({ kind: 'argmax', output: 'y' }) };
  await mobile.deploy('whole', layers(0, 4), { ...tensors, ...post });
  await edge.deploy('cut', layers(2, 4, 'h1', 'y'), { graphOptimization: false });
  const next = { address: edge.node.dataAddress, deployment: 'cut' };
  await mobile.deploy('cut', layers(0, 2, 'x', 'h1'), { ...tensors, ...post, next });
  const item = await mobile.put(encodeItemFile(rows(7)));
  const run = (deployment: string) =>
    mobile.control.runSample({ deployment, itemSha256: item, sampleId: deployment, deadlineMs: 10_000 });
  const whole = await run('whole');
  const cut = await run('cut');
  assert.equal(cut.outputSha256, whole.outputSha256);
  assert.equal(cut.prediction, whole.prediction);
  assert.match(cut.prediction, /^\d+$/);
  assert.equal(whole.hops.length, 1);
  assert.deepEqual(
    cut.hops.map(({ tier, stage, ranStage }) => ({ tier, stage, ranStage })),
    [
      { tier: 'mobile', stage: 0, ranStage: true },
      { tier: 'edge', stage: 1, ranStage: true },
    ],
  );
  for (const sample of [whole, cut]) {
    const parts = sample.hops.map(
      (hop) =>
        hop.upMs +
        hop.deserialiseMs +
        hop.preprocessMs +
        hop.queueMs +
        hop.handoverMs +
        hop.loadMs +
        hop.computeMs +
        hop.serialiseMs +
        hop.downMs,
    );
    const sum = parts.reduce((a, b) => a + b, sample.postprocessMs + sample.otherMs);
    assert.ok(Math.abs(sum - sample.endToEndMs) < 1e-6, `${sum} is ${sample.endToEndMs}`);
    assert.ok(sample.otherMs >= 0, 'no interval is counted twice');
  }
  const [first, second] = cut.hops;
  assert.ok(first && second);
  assert.ok(first.preprocessMs > 0 && first.serialiseMs > 0 && first.deserialiseMs > 0);
  assert.ok(second.upMs > 0 && second.downMs > 0 && second.serialiseMs > 0 && second.deserialiseMs > 0);
  assert.ok(second.upBytes > 256 && second.downBytes > 256);
  assert.equal(first.upMs + first.downMs, 0);
});

test('cold makes a session in every request, and its time is the load', async (t) => {
  const { data, deploy } = await testNode(t);
  await deploy('cold', layers(0, 4), { sessionMode: 'COLD' });
  await deploy('warm', layers(0, 4));
  for (let i = 0; i < 2; i++) {
    for (const name of ['cold', 'warm']) {
      const answer = await data.infer({ modelName: name, parameters: noParameters, inputs: rows(i) });
      const [hop] = parseHops(answer.parameters.get('tierbed_hops'), 'edge');
      assert.equal((hop?.loadNs ?? 0) > 0, name === 'cold', name);
    }
  }
});

test('an encoded item crosses the chain and is preprocessed where the deployment says so', async (t) => {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  await edge.deploy('m', layers(0, 4), { preprocessJson: JSON.stringify({ kind: 'tensors' }) });
  const next = { address: edge.node.dataAddress, deployment: 'm' };
  await mobile.deploy('m', undefined, { next, postprocessJson: JSON.stringify({ kind: 'digest' }) });
  const item = await mobile.put(encodeItemFile(rows(3)));
  const sample = await mobile.control.runSample({ deployment: 'm', itemSha256: item, sampleId: 's', deadlineMs: 0 });
  const [first, second] = sample.hops;
  assert.equal(first?.ranStage, false);
  assert.equal(first.preprocessMs, 0);
  assert.equal(second?.stage, 0, 'the first stage runs on the second node');
  assert.ok(second.preprocessMs > 0);
  assert.equal(sample.prediction, sample.outputSha256);
});

test('asked-for outputs alone are given; one that is not there is refused', async (t) => {
  const { data, deploy } = await testNode(t);
  await deploy('m', layers(0, 2));
  const ask = (requestedOutputs: string[]) =>
    data.infer({ modelName: 'm', parameters: noParameters, inputs: rows(1), requestedOutputs });
  assert.deepEqual(
    (await ask(['y'])).outputs.map(({ name }) => name),
    ['y'],
  );
  await rejects(ask(['z']), 'invalid', /no output "z"; it has y/);
});

test('wrong inputs are refused and leave the node at work', async (t) => {
  const { data, deploy } = await testNode(t);
  await deploy('m', layers(0, 2));
  const infer = (inputs: readonly NamedTensor[], modelName = 'm') =>
    data.infer({ modelName, parameters: noParameters, inputs });
  const [x] = rows(1) as [NamedTensor];
  await rejects(infer([{ name: 'x', tensor: { ...x.tensor, dtype: 'int32' } as never }]), 'invalid', /got int32/);
  await rejects(infer([{ name: 'x', tensor: { ...x.tensor, shape: [2, 32] } as never }]), 'invalid', /\[2, 32\]/);
  await rejects(infer([{ name: 'x', tensor: { ...x.tensor, shape: [2, 64] } as never }]), 'invalid', /bytes/);
  await rejects(infer([]), 'invalid', /"x".*missing/);
  await rejects(infer([x], 'other'), 'missing', /"other"/);
  assert.equal((await infer([x])).outputs.length, 1);
});

test('a damaged model is refused at deploy, warm or cold, and what was there stays', async (t) => {
  const { data, deploy } = await testNode(t);
  await deploy('m', layers(0, 2));
  const damaged = layers(0, 2).subarray(0, 5000);
  for (const sessionMode of ['WARM', 'COLD'] as const) {
    await rejects(deploy('m', damaged, { sessionMode }), 'invalid', /deployment "m".*opened/);
  }
  assert.equal(await data.modelReady('m'), true);
  await data.infer({ modelName: 'm', parameters: noParameters, inputs: rows(1) });
});

async function rejects(promise: Promise<unknown>, kind: string, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test('the data plane may listen on another address than control and metrics, and on that one alone', async (t) => {
  const { node, data, deploy } = await testNode(t, { host: '127.0.0.1', dataHost: '127.0.0.2' });
  const port = node.dataAddress.split(':')[1];
  assert.equal(node.dataAddress, `127.0.0.2:${port}`);
  assert.match(node.controlAddress, /^127\.0\.0\.1:/);
  assert.match(node.metricsAddress, /^127\.0\.0\.1:/);
  await deploy('m', layers(0, 1));
  assert.equal((await data.modelMetadata('m')).name, 'm');
  await assert.rejects(
    new Promise((resolve, reject) =>
      createConnection(Number(port), '127.0.0.1', () => resolve('open')).on('error', reject),
    ),
    /ECONNREFUSED/,
  );
});
