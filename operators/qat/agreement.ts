import { TierbedError } from '../../base/errors.js';
import type { Model } from '../../onnx/model.js';
import { type ModelSession, openModel } from '../../onnx/runtime/session.js';
import type { NamedTensor, Tensor } from '../../onnx/tensor.js';
import { elementReader } from '../../workloads/elements.js';
import { preparedItems } from '../../workloads/prepared.js';
import type { OperatorContext } from '../operator.js';
import { drawnItems } from '../quantise/drawn-items.js';

/** How far a quantised model is from the simulation that was trained. */
export interface Agreement {
  /** Calibration items that both answered. */
  readonly items: number;
  /** The largest difference of an output, in steps of 8 bits over all that the simulation answered with. */
  readonly largestSteps: number;
  /** Share of the outputs' elements that differ by more than half a step. */
  readonly beyondHalf: number;
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
  const pairs: (readonly [NamedTensor, NamedTensor | undefined])[] = [];
  let items = 0;
  try {
    const simulated = await openModel(simulation, { threads, fuseQuantised: false });
    sessions.push(simulated);
    const quantised = await openModel(made, { threads });
    sessions.push(quantised);
    const names = quantised.outputs.map(({ name }) => name);
    for await (const { inputs } of preparedItems(some, 'calibration', () => {}, signal)) {
      if (signal.aborted) throw new TierbedError('cancelled', 'comparing models was cancelled');
      const [expected, found] = [await simulated.run(inputs, names), await quantised.run(inputs)];
      for (const output of expected) pairs.push([output, found.find(({ name }) => name === output.name)]);
      items++;
    }
  } finally {
    for (const session of sessions) await session.close();
  }
  return { items, ...differences(pairs) };
}

function differences(pairs: readonly (readonly [NamedTensor, NamedTensor | undefined])[]) {
  let [largestSteps, beyond, count] = [0, 0, 0];
  const names = new Set(pairs.map(([{ name }]) => name));
  for (const name of names) {
    const own = pairs.filter(([output]) => output.name === name);
    const step = widthOf(own.map(([{ tensor }]) => tensor)) / 255;
    for (const [{ tensor }, other] of own) {
      const [a, b] = [numbers(tensor), numbers(other?.tensor)];
      a.forEach((value, i) => {
        const apart = Math.abs(value - (b[i] ?? 0));
        const steps = apart === 0 ? 0 : apart / (step || apart);
        largestSteps = Math.max(largestSteps, steps);
        if (steps > 0.5) beyond++;
        count++;
      });
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
