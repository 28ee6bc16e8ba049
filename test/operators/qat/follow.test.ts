import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { follow } from '../../../operators/qat/follow.js';
import { trainedRanges } from '../../../operators/qat/ranges.js';
import { roundConstant, roundProduct } from '../../../operators/qat/rounding.js';
import { settledValues } from '../../../operators/qat/settle.js';
import { buffersOf, factorsOf, type Simulation } from '../../../operators/qat/simulation.js';
import {
  type ActivationType,
  activationParams,
  quantiseValues,
  roundEven,
} from '../../../operators/quantise/graph/activations.js';
import { weightValues } from '../../../operators/quantise/graph/view.js';
import {
  layoutOf,
  magnitudes,
  quantiseBias,
  quantiseWeight,
  WEIGHT_STEPS,
  weightScales,
} from '../../../operators/quantise/graph/weights.js';
import type { StepView } from '../../../operators/train/types.js';
import { picture } from '../quantise/own-workload.js';
import { smallCnn } from '../quantise/small-graphs.js';
import { simulated } from './simulated.js';

const items = Array.from({ length: 4 }, (_, i) => picture(i));

/** A step in which weights and gradients are as given, and batches observe these extremes. */
function stepOf(
  { model, ranges }: Simulation,
  least: number,
  greatest: number,
): StepView & { weights: Map<string, Float32Array> } {
  const weights = new Map(
    model.graph.initializers.flatMap((each): [string, Float32Array][] =>
      each.dataType === 1 ? [[each.name, weightValues(each).slice()]] : [],
    ),
  );
  const observed = ranges.flatMap(({ moving }): [string, ReturnType<typeof float32Tensor>][] =>
    moving
      ? [
          [moving.least, float32Tensor([], Float32Array.of(least))],
          [moving.greatest, float32Tensor([], Float32Array.of(greatest))],
        ]
      : [],
  );
  const gradients = new Map([...weights].map(([name, { length }]) => [name, new Float32Array(length).fill(1)]));
  return {
    ...{ step: 0, steps: 9, epoch: 0, learningRate: 1, loss: 1 },
    weights,
    gradients,
    outputs: new Map(observed),
  };
}

test('moving ranges are averages of what batches had, from the calibrated ones on', async () => {
  const { plan, simulation } = await simulated(smallCnn(), 'x', items, { ranges: 'moving' });
  const step = stepOf(simulation, -10, 20);
  const plugin = follow(simulation, plan.view, { activations: 'uint8', reduceRange: false, momentum: 0.75 });
  const input = simulation.ranges.find(({ source }) => source === 'x');
  assert.ok(input?.moving);
  const { range, scale, zeroPoint } = input.moving;
  plugin.afterUpdate?.(step);
  const wanted = activationParams({ min: 0.75 * range.min - 2.5, max: 0.75 * range.max + 5 }, 'uint8');
  assert.ok(Math.abs((step.weights.get(scale)?.[0] as number) - wanted.scale) < 1e-7);
  assert.equal(step.weights.get(zeroPoint as string)?.[0], wanted.zeroPoint);
  const relu = simulation.ranges.find(({ source }) => source === 'dw.clip');
  assert.equal(relu?.moving?.zeroPoint, undefined, 'what a Relu gives begins at 0');
  for (let i = 0; i < 50; i++) plugin.afterUpdate?.(step);
  assert.equal(step.weights.get(relu?.moving?.scale as string)?.[0], Math.fround(6 / 255), 'Clip cuts off at 6');
  for (const { data } of step.outputs.values()) new Float32Array(data.buffer).fill(Number.NaN);
  plugin.afterUpdate?.(step);
  assert.ok(
    [...step.weights.values()].every((values) => values.every(Number.isFinite)),
    'NaN stays out',
  );
});

test('learned ranges stay within what lets values through, and their gradients are scaled as LSQ has it', async () => {
  const { plan, simulation } = await simulated(smallCnn(), 'x', items, { ranges: 'learned' });
  const step = stepOf(simulation, 0, 0);
  const plugin = follow(simulation, plan.view, { activations: 'uint8', reduceRange: false, momentum: 0.9 });
  assert.deepEqual(plugin.outputs, []);
  for (const factor of factorsOf(simulation)) assert.equal(step.weights.get(factor)?.length, 1);
  for (const factor of factorsOf(simulation)) step.weights.get(factor)?.fill(100);
  plugin.beforeUpdate?.(step);
  plugin.afterUpdate?.(step);
  const clip = simulation.ranges.find(({ source }) => source === 'dw.clip');
  const clipScale = Math.fround(
    (step.weights.get(clip?.factor as string)?.[0] as number) * (clip?.start.scale as number),
  );
  assert.ok(Math.abs(clipScale - 6 / 255) < 1e-8, `${clipScale}`);
  const input = simulation.ranges.find(({ source }) => source === 'x');
  assert.equal(step.weights.get(input?.factor as string)?.[0], 100);
  const share = 1 / Math.sqrt(3 * 16 * 16 * 255) / (input?.start.scale as number) ** 2;
  assert.ok(Math.abs((step.gradients.get(input?.factor as string)?.[0] as number) / share - 1) < 1e-6);
  for (const factor of factorsOf(simulation)) step.weights.get(factor)?.fill(-1);
  plugin.afterUpdate?.(step);
  assert.ok(
    factorsOf(simulation).every((factor) => (step.weights.get(factor)?.[0] as number) > 0),
    'scales stay above 0',
  );
});

test('rounding is what the writer of int8 models makes of weights, biases and constants', () => {
  const random = new Random(2);
  const shape = [6, 2, 3, 3];
  const weight = random.fillNormal(new Float32Array(108), 0, 0.2);
  const bias = random.fillNormal(new Float32Array(6), 0, 1);
  const into = { weight: new Float32Array(108), scales: new Float32Array(6), bias: new Float32Array(6) };
  const now = { weight, shape, bias: { values: bias, inputScale: 0.02 } };
  for (const axis of [0, undefined]) {
    roundProduct({ alpha: 1, axis, bias: { beta: 1, channels: 6 } }, now, false, into);
    const scales = weightScales(magnitudes(weight, layoutOf(shape, axis)), WEIGHT_STEPS, {
      values: bias,
      inputScale: 0.02,
    });
    const { values } = quantiseWeight(weight, shape, axis, scales);
    weight.forEach((value, i) => {
      const scale = scales[axis === undefined ? 0 : Math.floor(i / 18)] as number;
      assert.equal(into.scales[axis === undefined ? 0 : Math.floor(i / 18)], scale);
      assert.equal(Math.fround(Math.fround(value / scale) + (into.weight[i] as number)), values[i]);
    });
    const steps = quantiseBias(bias, 0.02, scales);
    bias.forEach((value, i) => {
      const scale = steps.scales[steps.scales.length === 1 ? 0 : i] as number;
      assert.equal(Math.fround(Math.fround(value / scale) + (into.bias[i] as number)), steps.values[i]);
    });
  }
  const rounding = new Float32Array(weight.length);
  for (const type of ['uint8', 'int8'] as const) {
    roundConstant(weight, type, rounding);
    const params = activationParams({ min: Math.min(...weight), max: Math.max(...weight) }, type);
    const stored = quantiseValues(weight, params);
    const bytes = type === 'int8' ? new Int8Array(stored.buffer) : stored;
    weight.forEach((value, i) => {
      const wanted = ((bytes[i] as number) - params.zeroPoint) * params.scale;
      assert.ok(Math.abs(value + (rounding[i] as number) - wanted) < 1e-6);
    });
  }
});

test('numbers of a table next to an edge are moved to where both precisions round them alike', () => {
  const random = new Random(4);
  const scale = Math.fround(1 / 127);
  // Next to edges, by the last bits: a table's largest number gives its scale.
  const values = Float32Array.from({ length: 20_000 }, (_, i) =>
    i === 0 ? 1 : (random.integer(250) - 125 + 0.5) * scale * (1 + random.uniform(-1e-7, 1e-7)),
  );
  const moved = settledValues(values, false) as Float32Array;
  let count = 0;
  moved.forEach((value, i) => {
    const before = values[i] as number;
    assert.equal(roundEven(Math.fround(value / scale)), roundEven(before / scale));
    assert.equal(roundEven(value / scale), roundEven(before / scale));
    assert.ok(Math.abs(value - before) <= 2 ** -22 * Math.abs(before));
    if (value !== before) count++;
  });
  assert.ok(count > 100 && count < 10_000, `${count} moved`);
  assert.equal(settledValues(moved, false), undefined);
});

test('ranges of a trained simulation give back its scales and zero points exactly', () => {
  const random = new Random(9);
  for (let i = 0; i < 2000; i++) {
    const type: ActivationType = i % 2 ? 'uint8' : 'int8';
    const scale = Math.fround(10 ** random.uniform(-6, 3));
    const zeroPoint = type === 'uint8' ? random.integer(256) : 0;
    const range = { source: 'x', start: { scale, zeroPoint }, bounds: { min: -1, max: 1 }, elements: 1 };
    const simulation = { ranges: [range], weights: [], tables: [], constants: [] };
    const trained = trainedRanges({ ...simulation, model: EMPTY }, EMPTY, type).get('x');
    assert.deepEqual(activationParams(trained as { min: number; max: number }, type), { type, scale, zeroPoint });
  }
});

const EMPTY: Model = (() => {
  const g = new GraphBuilder({ name: 'empty' });
  g.output(g.input('x', 'float32', [1]), 'float32', [1]);
  return g.build();
})();

test('every buffer is an initializer of the simulation', async () => {
  for (const ranges of ['moving', 'learned', 'fixed'] as const) {
    const { simulation } = await simulated(smallCnn(), 'x', items, { ranges });
    const names = new Set(simulation.model.graph.initializers.map(({ name }) => name));
    const held = [...buffersOf(simulation), ...factorsOf(simulation)];
    assert.ok(held.length > 0 && held.every((name) => names.has(name)));
  }
});
