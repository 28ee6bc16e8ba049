import { Random } from '../../../base/random.js';
import { inferValues } from '../../../onnx/infer.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { type DenseTensor, float32Tensor, float32Values } from '../../../onnx/tensor.js';
import { follow } from '../../../operators/qat/follow.js';
import { trainedRanges } from '../../../operators/qat/ranges.js';
import { simulate } from '../../../operators/qat/simulate.js';
import { buffersOf, factorsOf, type RangeKind, type Simulation } from '../../../operators/qat/simulation.js';
import { withWeights } from '../../../operators/qat/with-weights.js';
import type { ActivationType } from '../../../operators/quantise/graph/activations.js';
import type { Choice } from '../../../operators/quantise/graph/choice.js';
import { type Plan, planQuantisation } from '../../../operators/quantise/graph/plan.js';
import { writeQdq } from '../../../operators/quantise/graph/qdq.js';
import { View, weightValues } from '../../../operators/quantise/graph/view.js';
import { preparedFloat } from '../../../operators/quantise/prepared-float.js';
import type { StepView } from '../../../operators/train/types.js';
import { planned } from '../quantise/measure.js';

export interface SimulatedOptions {
  readonly ranges: RangeKind;
  readonly activations?: ActivationType;
  readonly perChannel?: boolean;
  readonly reduceRange?: boolean;
  readonly choice?: Choice;
}

/** A model, its plan and its simulation, with ranges over items. */
export async function simulated(
  given: Model,
  input: string,
  items: readonly DenseTensor[],
  options: SimulatedOptions,
): Promise<{ model: Model; plan: Plan; simulation: Simulation; full: Required<Omit<SimulatedOptions, 'choice'>> }> {
  const { activations = 'uint8', perChannel = true, reduceRange = false, ranges: kind, choice = {} } = options;
  const { model } = await preparedFloat(given, 'test');
  const { plan, ranges } = await planned(
    model,
    items.map((tensor) => [{ name: input, tensor }]),
    activations,
    choice,
  );
  const types = await inferValues(model);
  const simulation = simulate(plan, ranges, { ranges: kind, perChannel, reduceRange, types });
  return { model, plan, simulation, full: { activations, perChannel, reduceRange, ranges: kind } };
}

/** The quantised model that a simulation stands for, given its model with other weights. */
export async function quantisedOf(
  { model, plan, simulation, full }: Awaited<ReturnType<typeof simulated>>,
  trained: Model,
  choice: Choice = {},
): Promise<Model> {
  const float = withWeights(model, trained);
  const again = planQuantisation(new View(float, await inferValues(float)), choice, plan.activations);
  return writeQdq(again, trainedRanges(simulation, trained, plan.activations), full);
}

/**
 * Moves a simulation's weights at random, as training does, with what follows them kept up: its model afterwards.
 *
 * @param outputs what the batch's observed tensors are
 */
export function moved(
  { plan, simulation, full }: Awaited<ReturnType<typeof simulated>>,
  steps = 3,
  extremes: readonly [least: number, greatest: number] = [-2, 3],
): Model {
  const random = new Random(3);
  const factors = factorsOf(simulation);
  const buffers = new Set(buffersOf(simulation));
  const held = new Map(
    simulation.model.graph.initializers.flatMap((each): [string, Float32Array][] =>
      each.dataType === 1 ? [[each.name, weightValues(each).slice()]] : [],
    ),
  );
  const floats = new Set(
    plan.view.model.graph.initializers.filter(({ dims }) => dims.length > 0).map(({ name }) => name),
  );
  const plugin = follow(simulation, plan.view, { ...full, momentum: 0.9 });
  const outputs = new Map(
    (plugin.outputs ?? []).map((name, i) => [name, float32Tensor([], Float32Array.of(extremes[i % 2] as number))]),
  );
  for (let step = 0; step < steps; step++) {
    for (const [name, values] of held) {
      if (buffers.has(name) || !(floats.has(name) || factors.includes(name))) continue;
      values.forEach((value, i) => {
        values[i] = value * random.uniform(0.9, 1.1) + (factors.includes(name) ? 0 : random.uniform(-0.02, 0.02));
      });
    }
    const view: StepView = {
      ...{ step, steps, epoch: 0, learningRate: 0.1, loss: 1, weights: held, gradients: new Map(), outputs },
    };
    plugin.beforeUpdate?.(view);
    plugin.afterUpdate?.(view);
  }
  const { graph } = simulation.model;
  const initializers = graph.initializers.map((each) => {
    const values = held.get(each.name);
    return values ? { ...each, data: { kind: 'raw' as const, bytes: new Uint8Array(values.buffer) } } : each;
  });
  return { ...simulation.model, graph: { ...graph, initializers } };
}

/** All numbers that a model answers items with, by item. */
export async function answers(
  model: Model,
  input: string,
  items: readonly DenseTensor[],
  graphOptimization: boolean,
): Promise<Float32Array[]> {
  const session = await openModel(model, { threads: 1, graphOptimization });
  const wanted = session.outputs.map(({ name }) => name).slice(0, 1);
  const found: Float32Array[] = [];
  for (const tensor of items) {
    const [first] = await session.run([{ name: input, tensor }], wanted);
    found.push(float32Values(first?.tensor as DenseTensor).slice());
  }
  await session.close();
  return found;
}
