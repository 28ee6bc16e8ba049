import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { trainableWeights } from '../../../onnx/grad/trainable.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import type { Initializer, Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, denseTensor, float32Tensor, float32Values } from '../../../onnx/tensor.js';
import { writeModel } from '../../../onnx/write.js';
import type { Agreement } from '../../../operators/qat/agreement.js';
import { buffersOf } from '../../../operators/qat/simulation.js';
import { qat } from '../../../operators/qat.js';
import { weightValues } from '../../../operators/quantise/graph/view.js';
import { int8Saturates } from '../../../operators/quantise/saturation.js';
import { encodeItemFile } from '../../../workloads/item-file.js';
import type { WorkloadItem } from '../../../workloads/types.js';
import { architecture } from '../../../workloads/zoo/architectures.js';
import type { NetworkOptions } from '../../../workloads/zoo/options.js';
import { randomWeights } from '../../../workloads/zoo/weights.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';
import { tensorWorkload } from '../../support/tensor-workload.js';
import { applied } from '../quantise/own-workload.js';
import { answers, moved, quantisedOf, type SimulatedOptions, simulated } from './simulated.js';
import { stepsApart } from './steps-apart.js';

/** Kernels for other processors requantise in fixed point, which decides some ties the other way. */
const MOST_STEPS = process.arch === 'x64' ? 0 : 1;

/** Pictures that are smooth, with noise, as photographs are. */
function pictures(count: number, size: number): DenseTensor[] {
  return Array.from({ length: count }, (_, seed) => {
    const random = new Random(seed);
    const waves = Array.from({ length: 3 }, () => [random.uniform(1, 9), random.uniform(1, 9), random.uniform(0, 6)]);
    const values = new Float32Array(3 * size * size);
    values.forEach((_value, i) => {
      const [a, b, phase] = waves[Math.floor(i / size / size)] as [number, number, number];
      const [y, x] = [Math.floor(i / size) % size, i % size];
      values[i] = Math.sin((a * x + b * y) / size + phase) + random.uniform(-0.4, 0.4);
    });
    return float32Tensor([1, 3, size, size], values);
  });
}

/** Texts of random tokens, the last of them padding. */
function texts(count: number, prefix: string): WorkloadItem[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new Random(11).fork(`${prefix}${i}`);
    const used = 8 + random.integer(16);
    const tensor = (value: (at: number) => number): DenseTensor => {
      const values = BigInt64Array.from({ length: 24 }, (__, at) => BigInt(at < used ? value(at) : 0));
      return denseTensor('int64', [1, 24], new Uint8Array(values.buffer));
    };
    const tensors = [
      { name: 'input_ids', tensor: tensor(() => random.integer(500)) },
      { name: 'attention_mask', tensor: tensor(() => 1) },
      { name: 'token_type_ids', tensor: tensor((at) => (at < used / 2 ? 0 : 1)) },
    ];
    return { id: `${prefix}${i}`, label: String(i % 2), read: async () => encodeItemFile(tensors) };
  });
}

/** A model whose table of words has its numbers next to the edges between two steps, a few last bits to either side. */
function onEdges(model: Model): Model {
  const random = new Random(5);
  const moved = (each: Initializer): Initializer => {
    if (!each.name.endsWith('word_embeddings.weight')) return each;
    const values = weightValues(each);
    const scale = Math.fround(values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
    const edged = values.map((value) => {
      const step = value / scale;
      if (Math.abs(step) > 125) return value;
      return (Math.floor(step) + 0.5) * scale * (1 + random.uniform(-1e-7, 1e-7));
    });
    return { ...each, data: { kind: 'raw', bytes: new Uint8Array(edged.buffer) } };
  };
  return { ...model, graph: { ...model.graph, initializers: model.graph.initializers.map(moved) } };
}

async function agrees(
  made: Awaited<ReturnType<typeof simulated>>,
  input: string,
  items: readonly DenseTensor[],
): Promise<void> {
  for (const [when, trained] of Object.entries({ start: made.simulation.model, trained: moved(made) })) {
    const wanted = await answers(trained, input, items, false);
    assert.ok(new Set(wanted.flatMap((values) => [...values])).size > 10, 'outputs differ');
    const apart = stepsApart(wanted, await answers(await quantisedOf(made, trained), input, items, true));
    assert.ok(apart <= MOST_STEPS, `${when}: ${apart} steps`);
  }
}

const NETWORKS: readonly [name: string, network: NetworkOptions, options: SimulatedOptions][] = [
  ['resnet20', {}, { ranges: 'moving' }],
  ['resnet20', { channels: [8, 12, 16], shortcut: 'pad' }, { ranges: 'learned', activations: 'int8' }],
  ['mobilenet_v2', { imageSize: 64, width: 0.35, classes: 50 }, { ranges: 'moving' }],
  ['mobilenet_v2', { imageSize: 64, width: 0.35, classes: 50 }, { ranges: 'learned', perChannel: false }],
];

for (const [name, network, options] of NETWORKS) {
  const label = `${name} ${JSON.stringify({ ...network, ...options })}`;
  test(`a deep network's fused int8 kernels answer as its simulation: ${label}`, async () => {
    const { model } = architecture(name).build(randomWeights(3), network);
    const items = pictures(8, network.imageSize ?? 32);
    const input = model.graph.inputs[0]?.name as string;
    const reduceRange = await int8Saturates();
    await agrees(await simulated(model, input, items, { ...options, reduceRange }), input, items);
  });
}

for (const [name, network] of [
  ['resnet20', {}],
  ['mobilenet_v2', { imageSize: 64, width: 0.35, classes: 50 }],
] as const) {
  test(`a training step's forward pass is the simulation bit for bit, on blocked layouts too: ${name}`, async () => {
    const { model } = architecture(name).build(randomWeights(3), network);
    const items = pictures(4, 'imageSize' in network ? network.imageSize : 32);
    const input = model.graph.inputs[0]?.name as string;
    const { simulation, ...made } = await simulated(model, input, items, { ranges: 'moving' });
    const wanted = await answers(simulation.model, input, items, false);
    const output = model.graph.outputs[0]?.name as string;
    const given = [...trainableWeights(made.model), ...buffersOf(simulation)];
    const graph = await trainingGraph(simulation.model, {
      ...{ batch: items.length, weights: trainableWeights(made.model), buffers: buffersOf(simulation) },
      ...{ batchNorm: 'frozen', outputs: [output] },
      loss: ({ builder }) => builder.node('ReduceSum', [output], { keepdims: 0 }),
    });
    const session = await openModel(graph.model, { threads: 1, fuseQuantised: false });
    const data = new Uint8Array(Buffer.concat(items.map((item) => item.data)));
    const [{ shape }] = items as [DenseTensor];
    const batch = { name: input, tensor: denseTensor('float32', [items.length, ...shape.slice(1)], data) };
    const held = simulation.model.graph.initializers.filter((each) => given.includes(each.name));
    const feeds = held.map((each) => ({ name: each.name, tensor: float32Tensor(each.dims, weightValues(each)) }));
    const [found] = await session.run([batch, ...feeds], [output]);
    await session.close();
    assert.deepEqual(
      [...float32Values(found?.tensor as DenseTensor)],
      wanted.flatMap((values) => [...values]),
    );
  });
}

for (const [name, size] of [
  ['resnet20_cifar10', 32],
  ['resnet56_cifar10', 32],
  ['mobilenet_v1_0.25_128', 128],
  ['mobilenet_v2_1.0_224', 224],
] as const) {
  test(`a trained network's fused int8 kernels answer as its simulation: ${name}`, async (t) => {
    const data = needsSharedData(t);
    if (!data) return;
    const model = await readModel(sharedModels(data).find((each) => each.name === name)?.path as string);
    const input = model.graph.inputs[0]?.name as string;
    const items = pictures(6, size);
    const reduceRange = await int8Saturates();
    await agrees(await simulated(model, input, items, { ranges: 'moving', reduceRange }), input, items);
  });
}

test("a BERT's fused int8 kernels answer as its simulation, before training and behind it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-qat-bert-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const modelPath = join(folder, 'float.onnx');
  const network = { vocabulary: 500, positions: 32, layers: 4, hidden: 64, heads: 4, intermediate: 256 };
  await writeModel(onEdges(architecture('bert-mini').build(randomWeights(1), network).model), modelPath);
  const workload = tensorWorkload({
    ...{ name: 'texts', modelPath, metric: 'top1', postprocess: { kind: 'argmax', output: 'logits' } },
    ...{ items: texts(4, 'e'), calibration: texts(16, 'c'), tuning: texts(8, 't'), training: texts(48, 'l') },
  });
  // By last bits, from one side of an edge to the other.
  const nudged = { epochs: 1, batch: 8, optimizer: { kind: 'adamw', rate: 1e-8 } };
  const moving = { ...nudged, optimizer: { kind: 'adamw', rate: 0.001 } };
  for (const [options, train] of [
    [{ ranges: 'fixed' }, nudged],
    [{ ranges: 'moving' }, moving],
    [{ ranges: 'learned', activations: 'int8' }, moving],
  ] as const) {
    const { facts } = await applied(qat, { ...options, train }, workload, folder);
    const { agreement, saturates } = facts as unknown as { agreement: Agreement; saturates: boolean };
    assert.ok(saturates || agreement.fused.largestSteps <= MOST_STEPS, JSON.stringify(agreement));
  }
});
