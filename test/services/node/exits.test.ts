import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { encodingChain } from '../../../onnx/encodings/chain.js';
import type { NamedTensor } from '../../../onnx/tensor.js';
import { encodeModel } from '../../../onnx/write.js';
import { accountedNs, HOPS_PARAMETER, parseHops } from '../../../services/node/hops.js';
import { InferenceWorker } from '../../../services/node/worker-client.js';
import type { InferResponse } from '../../../services/rpc/codec/messages.js';
import type { DeployRequest, FailurePolicy, LocalStage } from '../../../services/rpc/node-control.js';
import { confidenceOf, type ExitRule } from '../../../workloads/exit-rule.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import { type TestNode, testNode } from './harness.js';
import { layers, rows } from './models.js';

const parameters = new Map<string, string>();
const PLAIN = { graphOptimization: false };
const INT8 = JSON.stringify({ chain: encodingChain(['int8', 'deflate']) });

const hopsOf = (answer: InferResponse) => parseHops(answer.parameters.get(HOPS_PARAMETER), 'test');
const ask = ({ data }: TestNode, seed: number) => data.infer({ modelName: 'm', parameters, inputs: rows(seed) });
const outputNames = ({ outputs }: InferResponse) => outputs.map(({ name }) => name);

/** What sends some of the seeds below out and others on. */
const rule = (threshold: number, name = 's'): ExitRule => ({
  ...{ scores: name, answer: 'y', confidence: 'max-probability', threshold },
});

/** `x` [N, 64] in, `h` [N, 64] and its exit's scores out: `h` is twice `x`, the scores are the first three of it. */
function stage(input = 'x', output = 'h', scores = 's'): Uint8Array {
  const g = new GraphBuilder({ name: 'stage' });
  const x = g.input(input, 'float32', ['N', 64]);
  g.output(g.node('Mul', [x, g.float32(2)], {}, output), 'float32', ['N', 64]);
  g.output(g.node('Slice', [output, g.int64([0]), g.int64([3]), g.int64([1])], {}, scores), 'float32', ['N', 3]);
  return encodeModel(g.build());
}

/** How sure the exit is of a seed's rows, computed here; `times` is how much the stage and those before it multiply. */
function sureOf(seed: number, times = 2): number {
  const [{ tensor }] = rows(seed) as [ReturnType<typeof rows>[number]];
  const values = new Float32Array(tensor.data.slice().buffer).slice(0, 3).map((v) => v * times);
  const scores = { dtype: 'float32', shape: [1, 3], data: new Uint8Array(values.buffer) } as const;
  return confidenceOf(rule(0), [{ name: 's', tensor: scores }]);
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const byConfidence = SEEDS.toSorted((a, b) => sureOf(a) - sureOf(b));
/** Between the fourth and the fifth of the eight. */
const HALF = (sureOf(byConfidence[3] as number) + sureOf(byConfidence[4] as number)) / 2;
const SURE = byConfidence[7] as number;
const UNSURE = byConfidence[0] as number;

async function pair(t: TestContext, request: Partial<DeployRequest> = {}, encodeJson = '') {
  const edge = await testNode(t);
  const mobile = await testNode(t, { tier: 'mobile' });
  await edge.deploy('m', layers(2, 4, 'h', 'y'), { ...PLAIN, decode: encodeJson !== '' });
  await mobile.deploy('m', stage(), {
    ...{ ...PLAIN, encodeJson, exitJson: JSON.stringify(rule(HALF)) },
    next: { address: edge.node.dataAddress, deployment: 'm' },
    ...request,
  });
  return { edge, mobile };
}

const local = async (
  node: TestNode,
  model: Uint8Array,
  { exit, encodeJson = '', decode = false }: { exit?: ExitRule; encodeJson?: string; decode?: boolean } = {},
): Promise<LocalStage> => ({
  ...{ files: [{ path: 'model.onnx', sha256: await node.put(model) }], preprocessJson: '' },
  ...{ encodeJson, decode, exitJson: exit ? JSON.stringify(exit) : '' },
});

for (const sessionMode of ['WARM', 'COLD'] as const) {
  for (const encodeJson of ['', INT8]) {
    test(`an exit answers at once or the request goes on, ${sessionMode}, ${encodeJson ? 'encoded' : 'as it is'}`, async (t) => {
      const { mobile } = await pair(t, { sessionMode }, encodeJson);
      let left = 0;
      for (const seed of SEEDS) {
        const answer = await ask(mobile, seed);
        const hops = hopsOf(answer);
        assert.deepEqual(outputNames(answer), ['y']);
        const exited = sureOf(seed) >= HALF;
        left += Number(exited);
        assert.deepEqual(
          hops.map((hop) => [hop.tier, hop.stage, hop.ranStage, hop.exited, hop.encodeNs > 0]),
          exited
            ? [['mobile', 0, true, true, false]]
            : [
                ['mobile', 0, true, false, encodeJson !== ''],
                ['edge', 1, true, false, false],
              ],
        );
        assert.deepEqual(answer.outputs[0]?.tensor.shape, exited ? [1, 3] : [1, 64]);
        assert.ok(hops.every((hop) => accountedNs(hop) > 0));
      }
      assert.equal(left, 4);
    });
  }
}

test('what goes on is all but the scores', async (t) => {
  const { mobile, edge } = await pair(t);
  const whole = await edge.data.infer({
    ...{ modelName: 'm', parameters },
    inputs: (await (await twice(t)).data.infer({ modelName: 'h', parameters, inputs: rows(UNSURE) })).outputs,
  });
  assert.deepEqual((await ask(mobile, UNSURE)).outputs, whole.outputs);
});

/** A node that gives `h` alone. */
async function twice(t: TestContext): Promise<TestNode> {
  const g = new GraphBuilder({ name: 'twice' });
  const x = g.input('x', 'float32', ['N', 64]);
  g.output(g.node('Mul', [x, g.float32(2)], {}, 'h'), 'float32', ['N', 64]);
  const node = await testNode(t);
  await node.deploy('h', encodeModel(g.build()), PLAIN);
  return node;
}

test('scores that are no numbers go on', async (t) => {
  const { mobile } = await pair(t, { exitJson: JSON.stringify(rule(0)) });
  const [input] = rows(1) as [ReturnType<typeof rows>[number]];
  const values = new Float32Array(64).fill(Number.NaN);
  const tensor = { ...input.tensor, data: new Uint8Array(values.buffer) };
  const answer = await mobile.data.infer({ modelName: 'm', parameters, inputs: [{ name: 'x', tensor }] });
  assert.equal(hopsOf(answer).length, 2);
});

test('a measured sample that ends at an exit says so, and its parts add up', async (t) => {
  const { mobile } = await pair(t, { preprocessJson: JSON.stringify({ kind: 'tensors' }), sessionMode: 'COLD' }, INT8);
  for (const seed of [SURE, UNSURE]) {
    const itemSha256 = await mobile.put(encodeItemFile(rows(seed)));
    const request = { deployment: 'm', itemSha256, sampleId: 's', deadlineMs: 10_000 };
    const { hops, endToEndMs, postprocessMs, otherMs } = await mobile.control.runSample(request);
    assert.deepEqual(
      hops.map(({ exited }) => exited),
      seed === SURE ? [true] : [false, false],
    );
    const parts = hops.map((hop) =>
      Object.entries(hop).reduce((sum, [key, value]) => sum + (key.endsWith('Ms') ? (value as number) : 0), 0),
    );
    const sum = parts.reduce((a, b) => a + b, postprocessMs + otherMs);
    assert.ok(Math.abs(sum - endToEndMs) < 1e-6, `${sum} of ${endToEndMs}`);
  }
});

const FALLBACK: FailurePolicy = {
  ...{ action: 'FALLBACK', hopDeadlineMs: 5_000, retries: 0, backoffMs: 1, maxBackoffMs: 1, seed: 1 },
};

test('a node that falls back leaves at the exit of a stage behind it, as the chain does', async (t) => {
  const onCloud = layers(4, 6, 'k', 'y');
  const onEdge = stage('h', 'k', 'z');
  const cloud = await testNode(t, { tier: 'cloud' });
  await cloud.deploy('m', onCloud, { ...PLAIN, decode: true });
  const edge = await testNode(t);
  const exits = { mobile: rule(2), edge: rule(HALF, 'z') };
  await edge.deploy('m', onEdge, {
    ...{ ...PLAIN, decode: true, encodeJson: INT8, exitJson: JSON.stringify(exits.edge) },
    next: { address: cloud.node.dataAddress, deployment: 'm' },
  });
  const mobile = await testNode(t, { tier: 'mobile' });
  await mobile.deploy('m', stage(), {
    ...{ ...PLAIN, encodeJson: INT8, exitJson: JSON.stringify(exits.mobile), onHopFailure: FALLBACK },
    next: { address: edge.node.dataAddress, deployment: 'm' },
    fallback: [
      await local(mobile, onEdge, { exit: exits.edge, encodeJson: INT8, decode: true }),
      await local(mobile, onCloud, { decode: true }),
    ],
  });
  const chained = new Map<number, InferResponse>();
  for (const seed of SEEDS) chained.set(seed, await ask(mobile, seed));
  await edge.node.close(0);
  const stages = new Set<number>();
  for (const seed of SEEDS) {
    const alone = await ask(mobile, seed);
    const before = chained.get(seed) as InferResponse;
    assert.deepEqual(alone.outputs, before.outputs);
    const way = (answer: InferResponse) => hopsOf(answer).map(({ stage, exited }) => [stage, exited]);
    assert.deepEqual(way(alone), way(before));
    assert.deepEqual(
      hopsOf(alone).map(({ tier, fellBack }) => [tier, fellBack]),
      hopsOf(alone).map((_, i) => ['mobile', i === 0]),
    );
    stages.add(hopsOf(alone).length);
  }
  assert.deepEqual([...stages].sort(), [2, 3], 'some left at the exit behind, and some at the end');
});

for (const sessionMode of ['WARM', 'COLD'] as const) {
  test(`all stages run on one node where it is told to, ${sessionMode}`, async (t) => {
    const { mobile: chain } = await pair(t);
    const worker = new InferenceWorker();
    const calls = t.mock.method(worker, 'call');
    const alone = await testNode(t, { tier: 'mobile', worker });
    await alone.deploy('m', stage(), {
      ...{ ...PLAIN, sessionMode, exitJson: JSON.stringify(rule(HALF)) },
      behind: [await local(alone, layers(2, 4, 'h', 'y'))],
    });
    for (const seed of SEEDS) {
      const answer = await ask(alone, seed);
      assert.deepEqual(answer.outputs, (await ask(chain, seed)).outputs);
      const exited = sureOf(seed) >= HALF;
      assert.deepEqual(
        hopsOf(answer).map((hop) => [hop.tier, hop.stage, hop.exited, hop.fellBack, hop.upNs, hop.loadNs > 0]),
        [
          ['mobile', 0, exited, false, 0, sessionMode === 'COLD'],
          ['mobile', 1, false, false, 0, sessionMode === 'COLD'],
        ].slice(0, exited ? 1 : 2),
      );
    }
    const closed = () => calls.mock.calls.filter(({ arguments: [call] }) => call === 'close').length;
    const before = closed();
    await alone.control.undeploy('m');
    await assert.rejects(ask(alone, 1), { kind: 'missing' });
    assert.equal(closed() - before, sessionMode === 'WARM' ? 2 : 0, 'sessions of both stages end');
  });
}

test('the outputs that a caller may ask for are those of the last stage', async (t) => {
  const alone = await testNode(t);
  await alone.deploy('m', stage(), {
    ...{ ...PLAIN, exitJson: JSON.stringify(rule(2)) },
    behind: [await local(alone, layers(2, 4, 'h', 'y'))],
  });
  const wanted = (requestedOutputs: readonly string[]) =>
    alone.data.infer({ modelName: 'm', parameters, inputs: rows(1), requestedOutputs });
  assert.deepEqual(outputNames(await wanted(['y'])), ['y']);
  assert.deepEqual(
    (await alone.data.modelMetadata('m')).outputs.map(({ name }) => name),
    ['y'],
  );
  await assert.rejects(wanted(['h']), { kind: 'invalid', message: /no output "h"/ });
});

test('exits that make no sense are refused', async (t) => {
  const node = await testNode(t);
  const next = { address: '127.0.0.1:9', deployment: 'm' };
  const exitJson = JSON.stringify(rule(0.5));
  const refused = async (request: Partial<DeployRequest>, message: RegExp, model: Uint8Array | undefined = stage()) => {
    await assert.rejects(node.deploy('m', model, request), { kind: 'invalid', message });
  };
  await refused({ exitJson }, /no stage for what is not sure/);
  const exit = await local(node, stage('h', 'k', 'z'), { exit: rule(0.5, 'z') });
  await refused({ behind: [exit] }, /no stage for what is not sure/);
  await refused({ behind: [await local(node, layers(2, 4, 'h', 'y'))], next }, /behind no last stage/);
  await assert.rejects(node.deploy('m', undefined, { exitJson, next }), { kind: 'invalid', message: /no stage for/ });
  const broken = [
    '{',
    'null',
    '[]',
    '7',
    '"exit"',
    '{}',
    JSON.stringify({ ...rule(0.5), confidence: 'luck' }),
    JSON.stringify({ ...rule(0.5), confidence: 'toString' }),
    JSON.stringify({ ...rule(0.5), confidence: ['margin'] }),
    JSON.stringify({ ...rule(0.5), threshold: '0.5' }),
    JSON.stringify({ ...rule(0.5), threshold: null }),
    '{"scores":"s","answer":"y","confidence":"margin","threshold":1e999}',
    JSON.stringify({ ...rule(0.5), scores: 1 }),
    JSON.stringify({ ...rule(0.5), answer: undefined }),
  ];
  for (const json of broken) await refused({ exitJson: json, next }, /exit_json is/);
  const hostile = { ...(await local(node, stage())), exitJson: '{"__proto__":{}}' };
  await refused({ fallback: [hostile], next }, /exit_json is/);
});

test('an exit that a stage has no scores for fails its requests, and the node goes on', async (t) => {
  const { mobile } = await pair(t, { exitJson: JSON.stringify(rule(0.5, 'absent')) });
  const inputs: readonly NamedTensor[] = rows(1);
  await assert.rejects(mobile.data.infer({ modelName: 'm', parameters, inputs }), {
    ...{ kind: 'invalid', message: /no scores 'absent'/ },
  });
  await mobile.deploy('again', layers(0, 2), PLAIN);
  assert.equal((await mobile.data.infer({ modelName: 'again', parameters, inputs })).outputs.length, 1);
});
