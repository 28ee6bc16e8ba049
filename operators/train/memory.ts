import { freemem } from 'node:os';
import { TierbedError } from '../../base/errors.js';
import { inferValues } from '../../onnx/infer.js';
import { initializerElements } from '../../onnx/initializer.js';
import { peakLiveBytes, tensorBytes } from './live-bytes.js';
import type { Setup } from './setup.js';

/** What a training takes in memory, in bytes, beside the process itself. */
export interface MemoryNeed {
  /** Weights, buffers and running statistics, and the best of them so far where these are kept. */
  readonly weights: number;
  readonly gradients: number;
  readonly optimizer: number;
  /** Constants of the graph of a step. */
  readonly constants: number;
  /** Inner tensors of a step, from their shapes: the most that are alive at one time. */
  readonly activations: number;
  /** Inputs of a batch. */
  readonly batch: number;
  /** Prepared items that are kept. */
  readonly items: number;
  readonly total: number;
}

/** Tells what a training will take, from the shapes of its graph, before it starts. */
export async function memoryNeed(
  setup: Pick<Setup, 'graph' | 'arrays' | 'slots' | 'settings' | 'training' | 'tuning' | 'given'>,
): Promise<MemoryNeed> {
  const { graph, arrays, slots, settings, training, tuning } = setup;
  const { model } = graph;
  const types = await inferValues(model, { probe: false });
  const own = sum([...arrays.values()].map(({ byteLength }) => byteLength));
  const weights = settings.patience === undefined ? own : 2 * own;
  const gradients = sum(model.graph.outputs.map(({ name }) => tensorBytes(types.get(name))));
  const optimizer = sum([...slots.values()].flatMap((list) => list.map(({ byteLength }) => byteLength)));
  const constants = sum(model.graph.initializers.map((each) => 4 * initializerElements(each)));
  const activations = peakLiveBytes(model, types);
  const batch = settings.batch * training.itemBytes * (tuning.length > 0 ? 2 : 1);
  const items = training.kept * training.itemBytes + tuning.kept * tuning.itemBytes;
  const total = weights + gradients + optimizer + constants + activations + batch + items;
  return { weights, gradients, optimizer, constants, activations, batch, items, total };
}

/** What this process may still take: what the machine has left, or its container. */
export function availableBytes(): number {
  return (process as { availableMemory?(): number }).availableMemory?.() ?? freemem();
}

/**
 * Refuses a training that does not fit.
 *
 * @param available bytes
 * @throws TierbedError `exhausted` saying what takes how much
 */
export function refuseTooLarge(need: MemoryNeed, available: number): void {
  // What is kept of the items is in memory already.
  if (need.total - need.items <= available) return;
  const { total, items, ...parts } = need;
  const largest = Object.entries(parts).sort(([, a], [, b]) => b - a);
  const listed = largest.slice(0, 3).map(([name, bytes]) => `${name} ${megabytes(bytes)}`);
  throw new TierbedError(
    'exhausted',
    `training takes about ${megabytes(total - items)} (${listed.join(', ')}...), and ${megabytes(available)} are free`,
    {
      fix:
        largest[0]?.[0] === 'activations'
          ? 'Give a smaller `batch` or fewer `dims`.'
          : 'Train a smaller model, freeze weights, or use `optimizer: { kind: sgd }`, which keeps less.',
    },
  );
}

/** For people. */
export function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
