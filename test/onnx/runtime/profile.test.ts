import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { kernelTimes, profileModel } from '../../../onnx/runtime/profile.js';
import { parseTrace } from '../../../onnx/runtime/profile-trace.js';
import { writeModel } from '../../../onnx/write.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';

const event = (cat: string, name: string, ts: number, dur: number, args = {}) => ({ cat, name, ts, dur, args });
const kernel = (name: string, op: string, ts: number, dur: number, more = {}) =>
  event('Node', `${name}_kernel_time`, ts, dur, { op_name: op, provider: 'CPUExecutionProvider', ...more });

test('a trace is taken apart into runs and nodes', () => {
  const runs = parseTrace(
    JSON.stringify([
      event('Session', 'session_initialization', 0, 90),
      kernel('a', 'Conv', 101, 30, {
        input_type_shape: [{ float: [1, 3, 8, 8] }, { float: [4, 3, 3, 3] }],
        output_type_shape: [{ float: [1, 4, 6, 6] }],
        thread_scheduling_stats: { main_thread: { Run: 20, Wait: 7 }, sub_threads: {} },
      }),
      kernel('b', 'Relu', 131, 5),
      event('Session', 'model_run', 100, 40),
      kernel('a', 'Conv', 201, 20),
      event('Session', 'model_run', 200, 40),
    ]),
  );
  assert.deepEqual(
    runs.map(({ us, nodes }) => [us, nodes.map(({ name, opType, ownUs }) => [name, opType, ownUs])]),
    [
      [
        40,
        [
          ['a', 'Conv', 30],
          ['b', 'Relu', 5],
        ],
      ],
      [40, [['a', 'Conv', 20]]],
    ],
  );
  const [first] = runs[0]?.nodes ?? [];
  assert.deepEqual(first?.reads[1], { type: 'float', shape: [4, 3, 3, 3] });
  assert.deepEqual(first?.writes, [{ type: 'float', shape: [1, 4, 6, 6] }]);
  assert.equal(first?.waitUs, 7);
});

test('what nodes of a subgraph take is not counted again where the subgraph is', () => {
  const [run] = parseTrace(
    JSON.stringify([
      kernel('inner', 'Add', 112, 10),
      kernel('branch', 'If', 111, 20),
      kernel('inner', 'Add', 132, 10),
      kernel('loop', 'Loop', 110, 50),
      event('Session', 'model_run', 100, 100),
    ]),
  );
  assert.deepEqual(
    run?.nodes.map(({ name, ownUs }) => [name, ownUs]),
    [
      ['inner', 10],
      ['branch', 10],
      ['inner', 10],
      ['loop', 20],
    ],
  );
});

test('what is no trace is refused', () => {
  assert.throws(() => parseTrace('{"a":'), { kind: 'invalid', message: /not JSON/ });
  assert.throws(() => parseTrace('{}'), { kind: 'invalid', message: /not a list/ });
});

async function written(t: TestContext, model: Model): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-profile-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'model.onnx');
  await writeModel(model, path);
  return path;
}

/** Two convolutions with a Relu each, which the runtime fuses, and a Softmax. */
function convolutions(): Model {
  const g = new GraphBuilder({ name: 'convolutions' });
  let at = g.input('x', 'float32', ['N', 16, 'H', 32]);
  for (const i of [1, 2]) {
    const w = g.weight(`w${i}`, [16, 16, 3, 3], () => new Random(i).fillUniform(new Float32Array(16 * 16 * 9), -1, 1));
    at = g.node('Relu', [g.node('Conv', [at, w], { pads: [1, 1, 1, 1] }, `conv${i}`)], {}, `relu${i}`);
  }
  g.output(g.node('Softmax', [at], {}, 'y'), 'float32');
  return g.build();
}

test('a model is profiled by node and by kernel, as the runtime optimised it', async (t) => {
  const profile = await profileModel(await written(t, convolutions()), { dims: { H: 32 }, runs: 5, threads: 1 });
  const convs = profile.nodes.filter(({ node }) => node?.opType === 'Conv' || node?.opType === 'FusedConv');
  assert.equal(convs.length, 2);
  assert.ok(profile.nodes.every(({ node }) => node !== undefined));
  assert.ok(!profile.kernels.some(({ kernel: name }) => name === 'Relu'), 'fused');
  assert.deepEqual(convs[0]?.reads[0], { type: 'float', shape: [1, 16, 32, 32] });
  assert.equal(profile.runs, 5);
  assert.ok(profile.nodesMs > 0 && profile.runMs > 0 && profile.profiledRunMs > 0);
  const sum = profile.kernels.reduce((total, { ms }) => total + ms, 0);
  assert.ok(Math.abs(sum - profile.nodesMs) < 1e-9);
  assert.deepEqual(profile.kernels, kernelTimes(profile.nodes));
});

test('nodes without names, or with the same, are told apart', async (t) => {
  const built = convolutions();
  const nodes = built.graph.nodes.map((node, i) => ({ ...node, name: i % 2 ? 'same' : '' }));
  const path = await written(t, { ...built, graph: { ...built.graph, nodes } });
  const profile = await profileModel(path, { runs: 2, threads: 1 });
  assert.equal(
    profile.nodes.length,
    (await profileModel(await written(t, built), { runs: 2, threads: 1 })).nodes.length,
  );
  assert.equal(new Set(profile.nodes.map(({ name }) => name)).size, profile.nodes.length);
  const names = (await readModel(path)).graph.nodes.map(({ name }) => name);
  assert.ok(names.includes('') && names.includes('same'), 'the file stays as it was');
});

test('what cannot be profiled is refused with what to do', async (t) => {
  const path = await written(t, convolutions());
  await assert.rejects(profileModel(path, { dims: { W: 1 } }), {
    kind: 'usage',
    message: /no input has a dimension W/,
  });
  const signal = AbortSignal.abort();
  await assert.rejects(profileModel(path, { signal }), { kind: 'cancelled' });
  const g = new GraphBuilder({ name: 'fixed' });
  const w = g.weight('w', [5, 7], () => new Float32Array(35));
  g.output(g.node('MatMul', [g.input('x', 'float32', ['N', 'M']), w], {}, 'y'), 'float32');
  await assert.rejects(profileModel(await written(t, g.build())), (error: Error & { fix?: string }) => {
    assert.match(error.message, /does not run on made-up inputs/);
    assert.match(error.fix ?? '', /N, M/);
    return true;
  });
});

test('every shared model can be profiled', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  for (const { name, path } of sharedModels(data)) {
    const dims = name.startsWith('silero') ? { batch: 1, sequence: 576 } : {};
    const profile = await profileModel(path, { dims, runs: 2, warmUp: 1, threads: 1 });
    assert.ok(profile.nodes.length > 0 && profile.nodesMs > 0, name);
    const unknown = profile.nodes.filter(({ node }) => !node).map((node) => node.name);
    assert.deepEqual(unknown, [], `${name}: every node that ran is in the optimised graph`);
  }
});
