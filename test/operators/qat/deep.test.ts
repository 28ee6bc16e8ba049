import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { readModel } from '../../../onnx/read.js';
import { type DenseTensor, float32Tensor } from '../../../onnx/tensor.js';
import { int8Saturates } from '../../../operators/quantise/saturation.js';
import { architecture } from '../../../workloads/zoo/architectures.js';
import type { NetworkOptions } from '../../../workloads/zoo/options.js';
import { randomWeights } from '../../../workloads/zoo/weights.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';
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
