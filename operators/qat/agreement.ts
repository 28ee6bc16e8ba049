import { initializerTensor } from '../../onnx/initializer.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import { type ModelSession, type OpenOptions, openModel } from '../../onnx/runtime/session.js';
import type { NamedTensor, Tensor } from '../../onnx/tensor.js';
import { weightsAsInputs } from '../../onnx/weights-as-inputs.js';
import { elementReader } from '../../workloads/elements.js';
import { preparedItems } from '../../workloads/prepared.js';
import type { OperatorContext } from '../operator.js';
import { drawnItems } from '../quantise/drawn-items.js';

/** How far a quantised model's outputs are from those of the simulation that was trained. */
export interface Apart {
  /** The largest difference of an output, in steps of 8 bits over all that the simulation answered with. */
  readonly largestSteps: number;
  /** Share of the outputs' elements that differ by more than half a step. */
  readonly beyondHalf: number;
}

export interface Agreement {
  /** Calibration items that all answered. */
  readonly items: number;
  /** Of the model as it is written, run node by node. */
  readonly written: Apart;
  /** Of the int8 kernels that the runtime makes of it. */
  readonly fused: Apart;
}

const ITEMS = 8;

/**
 * Runs a simulation and the model that was made of it on some calibration items.
 *
 * @throws TierbedError `invalid` when either cannot be run; `cancelled`
 */
export async function agreement(
  simulation: Model,
  made: string,
  { workload, threads, signal }: Pick<OperatorContext, 'workload' | 'threads' | 'signal'>,
): Promise<Agreement> {
  const some = { ...workload, calibration: drawnItems(workload.calibration, ITEMS) };
  const sessions: ModelSession[] = [];
  const open = async (model: Model | string, options: OpenOptions): Promise<ModelSession> => {
    const session = await openModel(model, { threads, ...options });
    sessions.push(session);
    return session;
  };
  const written: Pair[] = [];
  const fused: Pair[] = [];
  let items = 0;
  const asTrained = withWeightsGiven(simulation);
  try {
    // As written, float kernels add up in the same order; optimised, what stays float is fused alike.
    const simulated = await open(simulation, { graphOptimization: false });
    const trained = await open(asTrained.model, { fuseQuantised: false });
    const asWritten = await open(made, { graphOptimization: false });
    const optimised = await open(made, {});
    const names = optimised.outputs.map(({ name }) => name);
    for await (const { inputs } of preparedItems(some, 'calibration', () => {}, signal)) {
      pair(await simulated.run(inputs, names), await asWritten.run(inputs, names), written);
      pair(await trained.run([...inputs, ...asTrained.weights], names), await optimised.run(inputs, names), fused);
      items++;
    }
  } finally {
    for (const session of sessions) await session.close();
  }
  return { items, written: apart(written), fused: apart(fused) };
}

/** A model as training runs it: constant weights would be folded with what is behind them, which rounds once more. */
function withWeightsGiven(model: Model): { readonly model: Model; readonly weights: readonly NamedTensor[] } {
  const floats = model.graph.initializers.filter(
    ({ dataType, dims }) => dataType === DATA_TYPE.float32 && dims.length > 0,
  );
  return {
    model: weightsAsInputs(
      model,
      floats.map(({ name }) => name),
    ),
    weights: floats.map((each) => ({ name: each.name, tensor: initializerTensor(each) })),
  };
}

function pair(expected: readonly NamedTensor[], found: readonly NamedTensor[], into: Pair[]): void {
  for (const [i, { name, tensor }] of expected.entries()) into.push([tensor, found[i]?.tensor as Tensor, name]);
}

/** What was expected and what was found of one output for one item. */
type Pair = readonly [expected: Tensor, found: Tensor, output: string];

function apart(pairs: readonly Pair[]): Apart {
  let [largestSteps, beyond, count] = [0, 0, 0];
  for (const output of new Set(pairs.map(([, , name]) => name))) {
    const own = pairs.filter(([, , name]) => name === output);
    const step = widthOf(own.map(([expected]) => expected)) / 255;
    for (const [expected, found] of own) {
      const [a, b] = [numbers(expected), numbers(found)];
      for (const [i, value] of a.entries()) {
        const difference = Math.abs(value - (b[i] ?? 0));
        const steps = difference === 0 ? 0 : difference / (step || difference);
        largestSteps = Math.max(largestSteps, steps);
        if (steps > 0.5) beyond++;
        count++;
      }
    }
  }
  return { largestSteps, beyondHalf: count > 0 ? beyond / count : 0 };
}

/** From the least to the greatest number, 0 included. */
function widthOf(tensors: readonly Tensor[]): number {
  let [min, max] = [0, 0];
  for (const tensor of tensors) {
    for (const value of numbers(tensor)) {
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return max - min;
}

function numbers(tensor: Tensor | undefined): number[] {
  if (!tensor || tensor.dtype === 'string') return [];
  const reader = elementReader(tensor);
  return Array.from({ length: reader.count }, (_, i) => reader.at(i));
}
