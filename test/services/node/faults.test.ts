import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { corruptedMessage } from '../../../services/node/faults/corrupted-message.js';
import type { NodeFaultContext } from '../../../services/node/faults/fault.js';
import { outgoing } from '../../../services/rpc/codec/tamper.js';
import { Gather } from '../../../services/rpc/gather.js';
import { sha256, testNode } from './harness.js';
import { layers, rows } from './models.js';

const parameters = new Map<string, string>();

test('a full disk takes no files and gives those that it has', async (t) => {
  const { control, put, deploy, data } = await testNode(t);
  await deploy('m', layers(0, 2));
  await control.setFault('disk-full', {});
  await assert.rejects(put(Buffer.from('new')), { kind: 'exhausted', message: /disk .* is full/ });
  assert.equal(await control.putFile(layers(0, 2), sha256(layers(0, 2))), false, 'what is there is there');
  await data.infer({ modelName: 'm', parameters, inputs: rows(1) });
  await control.setFault('disk-full', undefined);
  await put(Buffer.from('new'));
});

test('messages are corrupted as often as asked, the same ones by the same seed, and none afterwards', async (t) => {
  const { control, deploy, data } = await testNode(t);
  await deploy('m', layers(0, 2));
  const ask = async (): Promise<string> =>
    data.infer({ modelName: 'm', parameters, inputs: rows(1, 50) }).then(
      ({ outputs }) => sha256(outputs[0]?.tensor.data as Uint8Array),
      (error: { kind: string }) => error.kind,
    );
  const right = await ask();
  const asks = async (count: number): Promise<string[]> => {
    const answers: string[] = [];
    for (let i = 0; i < count; i++) answers.push(await ask());
    return answers;
  };
  const corrupted = async (options: Record<string, unknown>): Promise<string[]> => {
    await control.setFault('corrupted-message', options);
    const answers = await asks(6);
    await control.setFault('corrupted-message', undefined);
    return answers;
  };
  // Client and node are one process here: requests and answers are corrupted alike.
  const two = await corrupted({ messages: 2, bytes: 200, seed: 5 });
  assert.notEqual(two[0], right);
  assert.deepEqual(two.slice(2), [right, right, right, right]);
  const always = await corrupted({ probability: 1, bytes: 200, seed: 5 });
  assert.ok(always.every((answer) => answer !== right));
  assert.deepEqual(await asks(2), [right, right]);
});

test('the same seed corrupts the same messages alike, wherever the parts of a message end', () => {
  const message = Buffer.from(new Random(1).fillUniform(new Float32Array(250)).buffer);
  const sent = (seed: number, ...parts: readonly Uint8Array[]): Buffer[] => {
    const stop = corruptedMessage.start({ probability: 1, bytes: 20, seed }, {} as NodeFaultContext);
    try {
      return [1, 2].map(() => Buffer.concat(outgoing(new Gather(parts)).parts));
    } finally {
      stop();
    }
  };
  const [first, second] = sent(5, message);
  const changed = [...message].filter((byte, i) => byte !== first?.[i]).length;
  assert.ok(changed > 15 && changed <= 20, `${changed} of 20: two may hit the same byte`);
  assert.notDeepEqual(first, second);
  assert.deepEqual(sent(5, message.subarray(0, 300), message.subarray(300)), [first, second]);
  assert.notDeepEqual(sent(6, message), [first, second]);
});

test('a slow reader reads late, and as ever when it is over', async (t) => {
  const edge = await testNode(t);
  await edge.deploy('m', layers(0, 2));
  const mobile = await testNode(t, { tier: 'mobile' });
  await mobile.deploy('m', undefined, { next: { address: edge.node.dataAddress, deployment: 'm' } });
  const ask = async (count: number): Promise<number> => {
    const from = performance.now();
    for (let i = 0; i < count; i++) await mobile.data.infer({ modelName: 'm', parameters, inputs: rows(i, 20) });
    return performance.now() - from;
  };
  await ask(3);
  await edge.control.setFault('slow-reader', { pauseMs: 200 });
  assert.ok((await ask(4)) >= 3 * 180, 'each request waits for its instant');
  // 20 rows of 64 floats are 5 kB: at 0.4 Mbit/s about 100 ms each.
  await edge.control.setFault('slow-reader', { rateMbps: 0.4 });
  assert.ok((await ask(5)) >= 3 * 100, 'no faster than its rate in the long run');
  await edge.control.setFault('slow-reader', undefined);
  await ask(3);
});

test('what a node cannot do wrong, or not so, is refused, and nothing is in force', async (t) => {
  const { control } = await testNode(t);
  await assert.rejects(control.setFault('hiccup', {}), {
    kind: 'missing',
    message: /no fault "hiccup"/,
    fix: /clock-step/,
  });
  await assert.rejects(control.setFault('clock-step', {}), { kind: 'invalid', message: /ms is undefined/ });
  await assert.rejects(control.setFault('slow-reader', {}), { kind: 'invalid', message: /pauseMs or rateMbps/ });
  await assert.rejects(control.setFault('corrupted-message', {}), { kind: 'invalid' });
  await control.setFault('slow-reader', undefined);
});
