import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../../base/errors.js';
import { Random } from '../../../base/random.js';
import { backoffMs, isMendable } from '../../../services/node/failure-policy.js';
import { accountedNs, HOPS_PARAMETER, parseHops } from '../../../services/node/hops.js';
import type { InferResponse } from '../../../services/rpc/codec/messages.js';
import { HopFailure } from '../../../services/rpc/hop-failure.js';
import type { FailurePolicy } from '../../../services/rpc/node-control.js';
import { type TestNode, testNode } from './harness.js';
import { busy, busyInputs, layers, rows } from './models.js';

const parameters = new Map<string, string>();
const RETRY: FailurePolicy = {
  ...{ action: 'RETRY', hopDeadlineMs: 2_000, retries: 40, backoffMs: 20, maxBackoffMs: 50, seed: 1 },
};

/** A port of this machine that nothing listens on. */
async function deadAddress(t: TestContext): Promise<string> {
  const node = await testNode(t);
  await node.node.close(0);
  return node.node.dataAddress;
}

async function mobileTo(t: TestContext, address: string, onHopFailure: FailurePolicy): Promise<TestNode> {
  const mobile = await testNode(t, { tier: 'mobile' });
  await mobile.deploy('m', undefined, { next: { address, deployment: 'm' }, onHopFailure });
  return mobile;
}

const hopsOf = (answer: InferResponse) => parseHops(answer.parameters.get(HOPS_PARAMETER), 'test');
const ask = ({ data }: TestNode) => data.infer({ modelName: 'm', parameters, inputs: rows(1) });

test('a node is asked again until it is back, and what that took has a name', async (t) => {
  const gone = await testNode(t);
  const { dataAddress } = gone.node;
  await gone.node.close(0);
  const mobile = await mobileTo(t, dataAddress, { ...RETRY, retries: 2_000 });
  const answer = ask(mobile);
  await sleep(150);
  const edge = await testNode(t, { dataPort: Number(dataAddress.split(':')[1]) });
  // It is up, and nothing is deployed on it yet: that is mended by asking again too.
  await sleep(60);
  await edge.deploy('m', layers(0, 2));
  const [first, second] = hopsOf(await answer);
  assert.ok((first?.attempts ?? 0) >= 2);
  assert.ok((first?.failoverNs ?? 0) >= 150e6);
  assert.equal(second?.attempts, 0);
  assert.ok(first && accountedNs(first) >= first.failoverNs);
  const [again] = hopsOf(await ask(mobile));
  assert.deepEqual([again?.attempts, again?.failoverNs], [0, 0], 'what was before is not counted again');
});

test('attempts are bounded, and the error says how many there were', async (t) => {
  const mobile = await mobileTo(t, await deadAddress(t), { ...RETRY, retries: 2 });
  const error = await ask(mobile).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof HopFailure, String(error));
  assert.equal(error.kind, 'unavailable');
  assert.equal(error.attempts, 2);
  assert.match(error.message, /\(3 attempts\)/);
});

test('no attempt is made beyond the deadline of the request', async (t) => {
  const mobile = await mobileTo(t, await deadAddress(t), { ...RETRY, backoffMs: 10_000, maxBackoffMs: 10_000 });
  const request = { modelName: 'm', parameters, inputs: rows(1) };
  await assert.rejects(mobile.data.infer(request, { deadlineMs: Date.now() + 3_000 }), (error: HopFailure) => {
    return error.kind === 'unavailable' && error.attempts === 0;
  });
});

test('what asking again cannot mend is not asked again', async (t) => {
  const edge = await testNode(t);
  await edge.deploy('m', layers(0, 2));
  const mobile = await mobileTo(t, edge.node.dataAddress, RETRY);
  const inputs = rows(1, 1, 'z');
  const error = await mobile.data.infer({ modelName: 'm', parameters, inputs }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof HopFailure);
  assert.deepEqual([error.kind, error.attempts], ['invalid', 0]);
});

test('a hop that has had its attempts is not given them again by the hop before', async (t) => {
  const edge = await testNode(t, { tier: 'edge' });
  await edge.deploy('m', undefined, {
    ...{ next: { address: await deadAddress(t), deployment: 'm' }, onHopFailure: { ...RETRY, retries: 2 } },
  });
  const mobile = await mobileTo(t, edge.node.dataAddress, { ...RETRY, retries: 2 });
  const error = await ask(mobile).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof HopFailure);
  assert.equal(error.attempts, 2, 'not 2 + 3 x 2');
});

test('an attempt that is late is given up, and the answer is that of a later one', async (t) => {
  const edge = await testNode(t);
  await edge.deploy('m', layers(0, 2));
  await edge.deploy('busy', busy());
  const mobile = await mobileTo(t, edge.node.dataAddress, { ...RETRY, retries: 2_000, hopDeadlineMs: 150 });
  // The processor is taken for longer than an attempt may last.
  const occupied = edge.data.infer({ modelName: 'busy', parameters, inputs: busyInputs(3_000) });
  await sleep(30);
  const answer = await ask(mobile);
  const [first] = hopsOf(answer);
  assert.ok((first?.attempts ?? 0) >= 1);
  assert.ok((first?.failoverNs ?? 0) >= 150e6);
  await occupied;
  const direct = await ask(edge);
  assert.deepEqual(answer.outputs[0]?.tensor.data, direct.outputs[0]?.tensor.data);
});

test('a node that falls back runs every stage behind it, and gives what they would have given', async (t) => {
  const [first, second, third] = [layers(0, 2, 'x', 'a'), layers(2, 4, 'a', 'b'), layers(4, 6, 'b', 'y')];
  const cloud = await testNode(t, { tier: 'cloud' });
  await cloud.deploy('m', third, { graphOptimization: false });
  const edge = await testNode(t, { tier: 'edge' });
  const plain = { graphOptimization: false };
  await edge.deploy('m', second, { ...plain, next: { address: cloud.node.dataAddress, deployment: 'm' } });
  const mobile = await testNode(t, { tier: 'mobile' });
  const stage = async (model: Uint8Array) => ({
    files: [{ path: 'model.onnx', sha256: await mobile.put(model) }],
    preprocessJson: '',
    ...{ encodeJson: '', decode: false, exitJson: '' },
  });
  for (const sessionMode of ['WARM', 'COLD'] as const) {
    await mobile.deploy('m', first, {
      ...{ ...plain, sessionMode, next: { address: edge.node.dataAddress, deployment: 'm' } },
      onHopFailure: { ...RETRY, action: 'FALLBACK', hopDeadlineMs: 5_000 },
      fallback: [await stage(second), await stage(third)],
    });
    if (sessionMode === 'WARM') {
      const direct = await ask(mobile);
      assert.deepEqual(
        hopsOf(direct).map((hop) => hop.tier),
        ['mobile', 'edge', 'cloud'],
      );
      await edge.node.close(0);
      const alone = await ask(mobile);
      assert.deepEqual(alone.outputs, direct.outputs);
      assert.deepEqual(
        hopsOf(alone).map(({ tier, stage, ranStage, fellBack, upBytes }) => [tier, stage, ranStage, fellBack, upBytes]),
        [
          ['mobile', 0, true, true, hopsOf(alone)[0]?.upBytes],
          ['mobile', 1, true, false, 0],
          ['mobile', 2, true, false, 0],
        ],
      );
    } else {
      assert.ok(
        hopsOf(await ask(mobile)).every((hop) => hop.loadNs > 0),
        'every stage has a session of its own',
      );
    }
  }
});

test('the waits between attempts grow to their bound, and are drawn by the seed', () => {
  const policy = { ...RETRY, action: 'retry' as const, backoffMs: 100, maxBackoffMs: 1_000 };
  const draw = () => {
    const random = new Random(3);
    return [1, 2, 3, 4, 5, 6].map((failed) => backoffMs(policy, failed, random));
  };
  const waits = draw();
  for (const [i, longest] of [100, 200, 400, 800, 1_000, 1_000].entries()) {
    assert.ok((waits[i] as number) >= longest / 2 && (waits[i] as number) <= longest);
  }
  assert.deepEqual(waits, draw());
  assert.equal(isMendable(new TierbedError('unavailable', '')), true);
  assert.equal(isMendable(new HopFailure('unavailable', '', 1)), false);
  assert.equal(isMendable(new TierbedError('invalid', '')), false);
});
