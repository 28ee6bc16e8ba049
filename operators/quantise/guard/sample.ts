import { TierbedError } from '../../../base/errors.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { byteLength, type NamedTensor } from '../../../onnx/tensor.js';
import { preparedItems } from '../../../workloads/prepared.js';
import type { Workload } from '../../../workloads/types.js';
import type { StageModel } from '../../variant.js';
import { drawnItems } from '../drawn-items.js';
import { OutputError } from '../output-error.js';

/** Enough to tell nodes apart: errors of outputs vary little between items, unlike the metric. */
const ITEMS = 32;

/** Inputs and outputs are kept while models are compared. */
const MAX_BYTES = 64 << 20;

/** An item and the float model's answer. */
interface Answered {
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
}

/** Some tuning items as the float model takes and answers them. */
export class Sample {
  readonly #items: readonly Answered[];
  readonly #threads: number;
  readonly #signal: AbortSignal | undefined;

  private constructor(items: readonly Answered[], threads: number, signal: AbortSignal | undefined) {
    this.#items = items;
    this.#threads = threads;
    this.#signal = signal;
  }

  /** @throws TierbedError `invalid` when the model cannot be run; `cancelled` */
  static async of(float: StageModel, workload: Workload, threads: number, signal?: AbortSignal): Promise<Sample> {
    const items: Answered[] = [];
    const session = await openModel(pathOf(float), { threads });
    try {
      const drawn = { ...workload, tuning: drawnItems(workload.tuning, ITEMS) };
      let bytes = 0;
      for await (const { inputs } of preparedItems(drawn, 'tuning', () => {}, signal)) {
        const outputs = await session.run(inputs);
        for (const { tensor } of [...inputs, ...outputs]) bytes += byteLength(tensor);
        if (items.length > 0 && bytes > MAX_BYTES) break;
        items.push({ inputs, outputs });
      }
    } finally {
      await session.close();
    }
    return new Sample(items, threads, signal);
  }

  /** How far a model's outputs are from the float model's. @throws TierbedError as `of` */
  async errorOf(model: StageModel): Promise<number> {
    const error = new OutputError();
    const session = await openModel(pathOf(model), { threads: this.#threads });
    try {
      for (const { inputs, outputs } of this.#items) {
        // Runs of the model do not give way by themselves: signals and progress get their turn here.
        await new Promise((resolve) => setImmediate(resolve));
        if (this.#signal?.aborted) throw new TierbedError('cancelled', 'comparing quantised models was cancelled');
        error.add(outputs, await session.run(inputs));
      }
    } finally {
      await session.close();
    }
    return error.value();
  }
}

function pathOf({ files }: StageModel): string {
  return files[0]?.path as string;
}
