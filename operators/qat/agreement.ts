import type { Model } from '../../onnx/model.js';
import { type ModelSession, type OpenOptions, openModel } from '../../onnx/runtime/session.js';
import type { Tensor } from '../../onnx/tensor.js';
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
  try {
    // Float kernels add up in an order of their own when they are optimised: as written, both do it in the same.
    const simulated = await open(simulation, { graphOptimization: false });
    const asWritten = await open(made, { graphOptimization: false });
    const optimised = await open(made, {});
    const names = optimised.outputs.map(({ name }) => name);
    for await (const { inputs } of preparedItems(some, 'calibration', () => {}, signal)) {
      const expected = await simulated.run(inputs, names);
      const [one, other] = [await asWritten.run(inputs, names), await optimised.run(inputs, names)];
      expected.forEach((output, i) => {
        written.push([output.tensor, one[i]?.tensor as Tensor, output.name]);
        fused.push([output.tensor, other[i]?.tensor as Tensor, output.name]);
      });
      items++;
    }
  } finally {
    for (const session of sessions) await session.close();
  }
  return { items, written: apart(written), fused: apart(fused) };
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
