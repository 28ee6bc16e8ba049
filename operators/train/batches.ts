import { type Augment, augmenter } from './augment/index.js';
import { BatchInputs } from './batch-inputs.js';
import { epochOrder } from './epoch-order.js';
import type { Setup } from './setup.js';
import type { Batch, TrainRequest } from './types.js';

/** The batches of a training by their steps: the same for the same seed, wherever a training begins. */
export class Batches {
  readonly #setup: Setup;
  readonly #inputs: BatchInputs;
  readonly #augment: Augment;
  #order: readonly number[] = [];
  #epoch = -1;

  /** @throws TierbedError `invalid` for inputs without an axis for the batch, and augmentations that fit none of them */
  constructor({ model }: TrainRequest, setup: Setup) {
    const { graph, given, settings } = setup;
    const names = new Set(model.graph.inputs.map(({ name }) => name));
    const infos = graph.model.graph.inputs.filter(({ name }) => names.has(name) && !given.has(name));
    this.#setup = setup;
    this.#inputs = new BatchInputs(infos, settings.batch);
    this.#augment = augmenter(settings.augment, this.#inputs.slots[0] ?? [], settings.seed);
  }

  /** The batch of a step, from 0, in the memory of the one before. @throws TierbedError `invalid` as `ItemStore.take` */
  async at(step: number): Promise<Batch> {
    const { training, settings, stepsPerEpoch } = this.#setup;
    const epoch = Math.floor(step / stepsPerEpoch);
    const start = (step % stepsPerEpoch) * settings.batch;
    if (this.#epoch !== epoch) {
      this.#order = epochOrder(training.length, settings.seed, epoch);
      this.#epoch = epoch;
    }
    const items = await training.take(this.#order.slice(start, start + settings.batch));
    for (const [i, item] of items.entries()) {
      this.#inputs.put(i, item);
      this.#augment(this.#inputs.slots[i] ?? [], item.id, epoch);
    }
    return { items, inputs: this.#inputs.tensors, step, epoch };
  }
}
