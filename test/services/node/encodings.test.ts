import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodingChain } from '../../../onnx/encodings/chain.js';
import { decodeTensors, encodeTensors, type LinkEncoding } from '../../../onnx/encodings/link-encoding.js';
import type { NamedTensor } from '../../../onnx/tensor.js';
import { accountedNs, HOPS_PARAMETER, parseHops } from '../../../services/node/hops.js';
import type { InferResponse } from '../../../services/rpc/codec/messages.js';
import type { DeployRequest } from '../../../services/rpc/node-control.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import { type TestNode, testNode } from './harness.js';
import { layers, rows } from './models.js';

const parameters = new Map<string, string>();
const PLAIN = { graphOptimization: false };
const INT8: LinkEncoding = { chain: encodingChain(['int8', 'deflate']) };

const hopsOf = (answer: InferResponse) => parseHops(answer.parameters.get(HOPS_PARAMETER), 'test');
const ask = ({ data }: TestNode, count = 1) => data.infer({ modelName: 'm', parameters, inputs: rows(1, count) });

/** Two nodes: two layers each, and what crosses between them is encoded. */
async function pair(t: TestContext, encoding: LinkEncoding | undefined, request: Partial<DeployRequest> = {}) {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  await edge.deploy('m', layers(2, 4, 'h1', 'y'), { ...PLAIN, decode: encoding !== undefined });
  await mobile.deploy('m', layers(0, 2, 'x', 'h1'), {
    ...PLAIN,
    next: { address: edge.node.dataAddress, deployment: 'm' },
    encodeJson: encoding ? JSON.stringify(encoding) : '',
    ...request,
  });
  return { edge, mobile };
}

/** The answer of the two halves with the encoding between them, on one node. */
async function byHand(t: TestContext, encoding: LinkEncoding, count = 1) {
  const node = await testNode(t);
  await node.deploy('first', layers(0, 2, 'x', 'h1'), PLAIN);
  await node.deploy('second', layers(2, 4, 'h1', 'y'), PLAIN);
  const half = await node.data.infer({ modelName: 'first', parameters, inputs: rows(1, count) });
  const inputs = decodeTensors(encodeTensors(half.outputs, encoding));
  return (await node.data.infer({ modelName: 'second', parameters, inputs })).outputs;
}

test('what goes to the next stage is encoded and what comes is decoded, and both have times of their own', async (t) => {
  const { mobile } = await pair(t, INT8);
  const answer = await ask(mobile, 50);
  assert.deepEqual(answer.outputs, await byHand(t, INT8, 50));
  const [first, second] = hopsOf(answer);
  assert.ok((first?.encodeNs ?? 0) > 0 && (second?.decodeNs ?? 0) > 0);
  assert.deepEqual([first?.decodeNs, second?.encodeNs], [0, 0]);
  assert.ok((first?.handoverNs ?? 0) > 0 && (second?.handoverNs ?? 0) > 0);
  // 50 rows of 64 float32 numbers, and the message around them.
  assert.ok((second?.upBytes ?? 0) < 50 * 64 + 600, `${second?.upBytes} bytes`);

  const plain = await pair(t, undefined);
  const [, unencoded] = hopsOf(await ask(plain.mobile, 50));
  assert.ok((unencoded?.upBytes ?? 0) > 50 * 64 * 4);
  assert.equal(unencoded?.decodeNs, 0);
});

test('calibrated ranges go to the node that encodes', async (t) => {
  const narrow: LinkEncoding = { ...INT8, ranges: { h1: { min: [0], max: [0.01] } } };
  const { mobile } = await pair(t, narrow);
  const answer = await ask(mobile);
  assert.deepEqual(answer.outputs, await byHand(t, narrow));
  assert.notDeepEqual(answer.outputs, await byHand(t, INT8));
});

test('a measured sample has encoding and decoding among the parts that add up', async (t) => {
  const tensors = { preprocessJson: JSON.stringify({ kind: 'tensors' }) };
  const { mobile } = await pair(t, INT8, { ...tensors, sessionMode: 'COLD' });
  const item = await mobile.put(encodeItemFile(rows(7, 4000)));
  const request = { deployment: 'm', itemSha256: item, sampleId: 's', deadlineMs: 10_000 };
  const { hops, endToEndMs, postprocessMs, otherMs } = await mobile.control.runSample(request);
  assert.ok((hops[0]?.encodeMs ?? 0) > 0 && (hops[1]?.decodeMs ?? 0) > 0);
  assert.ok(otherMs >= 0 && hops.every(({ handoverMs }) => handoverMs >= 0), 'nothing is counted twice');
  const parts = hops.map((hop) =>
    Object.entries(hop).reduce((sum, [key, value]) => sum + (key.endsWith('Ms') ? (value as number) : 0), 0),
  );
  const sum = parts.reduce((a, b) => a + b, postprocessMs + otherMs);
  assert.ok(Math.abs(sum - endToEndMs) < 1e-6, `${sum} of ${endToEndMs}`);
});

test('a node that falls back gives what the nodes behind it would have given', async (t) => {
  const [first, second, third] = [layers(0, 2, 'x', 'a'), layers(2, 4, 'a', 'b'), layers(4, 6, 'b', 'y')];
  const encodeJson = JSON.stringify(INT8);
  const cloud = await testNode(t, { tier: 'cloud' });
  await cloud.deploy('m', third, { ...PLAIN, decode: true, exitJson: '' });
  const edge = await testNode(t);
  const onCloud = { address: cloud.node.dataAddress, deployment: 'm' };
  await edge.deploy('m', second, { ...PLAIN, decode: true, encodeJson, next: onCloud });
  const mobile = await testNode(t, { tier: 'mobile' });
  const stage = async (model: Uint8Array, encode: string) => ({
    ...{ files: [{ path: 'model.onnx', sha256: await mobile.put(model) }], preprocessJson: '' },
    ...{ encodeJson: encode, decode: true, exitJson: '' },
  });
  const policy = {
    action: 'FALLBACK',
    hopDeadlineMs: 5_000,
    retries: 0,
    backoffMs: 1,
    maxBackoffMs: 1,
    seed: 1,
  } as const;
  await mobile.deploy('m', first, {
    ...{ ...PLAIN, encodeJson, next: { address: edge.node.dataAddress, deployment: 'm' }, onHopFailure: policy },
    fallback: [await stage(second, encodeJson), await stage(third, '')],
  });
  const direct = await ask(mobile);
  await edge.node.close(0);
  const alone = await ask(mobile);
  assert.deepEqual(alone.outputs, direct.outputs);
  const hops = hopsOf(alone);
  assert.deepEqual(
    hops.map(({ tier, fellBack, decodeNs, encodeNs }) => [tier, fellBack, decodeNs > 0, encodeNs > 0]),
    [
      ['mobile', true, false, true],
      ['mobile', false, true, true],
      ['mobile', false, true, false],
    ],
  );
  assert.ok(hops.every((hop) => accountedNs(hop) > 0));
});

test('a hop that is attempted again sends the same encoded tensors', async (t) => {
  const gone = await testNode(t);
  const { dataAddress } = gone.node;
  await gone.node.close(0);
  const mobile = await testNode(t, { tier: 'mobile' });
  const policy = {
    action: 'RETRY',
    hopDeadlineMs: 2_000,
    retries: 2_000,
    backoffMs: 10,
    maxBackoffMs: 20,
    seed: 1,
  } as const;
  await mobile.deploy('m', layers(0, 2, 'x', 'h1'), {
    ...{ ...PLAIN, next: { address: dataAddress, deployment: 'm' }, encodeJson: JSON.stringify(INT8) },
    onHopFailure: policy,
  });
  const answer = ask(mobile);
  const edge = await testNode(t, { dataPort: Number(dataAddress.split(':')[1]) });
  await edge.deploy('m', layers(2, 4, 'h1', 'y'), { ...PLAIN, decode: true, exitJson: '' });
  assert.deepEqual((await answer).outputs, await byHand(t, INT8));
});

test('a stage that takes encoded tensors says so, and refuses others', async (t) => {
  const { edge } = await pair(t, INT8);
  const { inputs } = await edge.data.modelMetadata('m');
  assert.deepEqual(inputs, [{ name: 'h1', datatype: 'UINT8', shape: [-1] }]);
  const send = (data: readonly NamedTensor[]) => edge.data.infer({ modelName: 'm', parameters, inputs: data });
  await assert.rejects(send(rows(1, 1, 'h1')), { kind: 'invalid', message: /"h1".*takes encoded tensors/ });
  const [good] = encodeTensors(rows(1, 1, 'h1'), INT8) as [NamedTensor];
  const half = {
    name: 'h1',
    tensor: { dtype: 'uint8', shape: [20], data: (good.tensor.data as Uint8Array).slice(0, 20) },
  };
  await assert.rejects(send([half as NamedTensor]), { kind: 'invalid', message: /"h1".*damaged/ });
  // The node goes on.
  assert.equal((await send([good])).outputs.length, 1);
});

test('deployments that make no sense are refused', async (t) => {
  const { deploy } = await testNode(t);
  const next = { address: '127.0.0.1:9', deployment: 'm' };
  const refused = async (request: Partial<DeployRequest>, message: RegExp, model = true) => {
    const bytes = model ? layers(0, 2) : undefined;
    await assert.rejects(deploy('m', bytes, request), { kind: 'invalid', message });
  };
  const encodeJson = JSON.stringify(INT8);
  await refused({ encodeJson }, /no stage takes them/);
  await refused({ encodeJson, next }, /no stage takes them/, false);
  await refused({ encodeJson: '{', next }, /encode_json is not JSON/);
  await refused({ encodeJson: '[]', next }, /encode_json is not an object/);
  await refused({ encodeJson: '{"chain":[{"name":"zip","options":{}}]}', next }, /no encoding 'zip'/);
  await refused({ encodeJson: '{"chain":[],"ranges":{"a":{"min":["x"],"max":[1]}}}', next }, /encode_json/);
});
