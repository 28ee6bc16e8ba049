import { bindBatch } from '../../onnx/grad/static-shapes.js';
import { inferValues } from '../../onnx/infer.js';
import type { Model } from '../../onnx/model.js';
import { type ModelSession, openModel } from '../../onnx/runtime/session.js';
import { type DenseTensor, denseTensor, float32Tensor, type NamedTensor } from '../../onnx/tensor.js';
import { weightsAsInputs } from '../../onnx/weights-as-inputs.js';
import { metricOf } from '../../workloads/metrics/index.js';
import { postprocess } from '../../workloads/postprocess/index.js';
import type { Workload } from '../../workloads/types.js';
import { BatchInputs } from './batch-inputs.js';
import type { ItemStore } from './items.js';

export interface TuningOptions {
  readonly model: Model;
  /** Weights, buffers and running statistics by name: read at each evaluation. */
  readonly arrays: ReadonlyMap<string, Float32Array>;
  readonly workload: Workload;
  readonly store: ItemStore;
  readonly batch: number;
  readonly dims: Readonly<Record<string, number>>;
  readonly threads: number;
}

/** The workload's metric on its tuning part, with weights as they are at the time: the model is opened once. */
export class Tuning {
  readonly #options: TuningOptions;
  readonly #session: ModelSession;
  readonly #run: ReturnType<ModelSession['bind']>;
  readonly #inputs: BatchInputs;
  readonly #batch: number;

  private constructor(options: TuningOptions, session: ModelSession, model: Model, batch: number) {
    const { arrays } = options;
    const sizes = new Map(options.model.graph.initializers.map(({ name, dims }) => [name, dims]));
    const weights = [...arrays].map(([name, values]) => {
      return { name, tensor: float32Tensor(sizes.get(name) as readonly number[], values) };
    });
    this.#options = options;
    this.#session = session;
    this.#batch = batch;
    this.#inputs = new BatchInputs(
      model.graph.inputs.filter(({ name }) => !arrays.has(name)),
      batch,
    );
    this.#run = session.bind(weights, [], wantedOutputs(options));
  }

  /** @throws TierbedError `invalid` when the runtime refuses the model */
  static async open(options: TuningOptions): Promise<Tuning> {
    const { model, arrays, dims, threads, store } = options;
    const opened = weightsAsInputs(model, [...arrays.keys()]);
    const most = Math.min(options.batch, store.length);
    const bound = bindBatch(opened, most, dims);
    const types = await inferValues(bound);
    // A model that mixes its items, or is fixed to one, is asked one by one.
    const byItem = wantedOutputs(options).every((name) => types.get(name)?.shape[0] === most);
    const [batch, chosen] = byItem ? [most, bound] : [1, bindBatch(opened, 1, dims)];
    const session = await openModel(chosen, { threads, spinning: false, fuseQuantised: false, planMemory: false });
    try {
      return new Tuning(options, session, chosen, batch);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** @returns null where the data has no labels; undefined when the signal came first */
  async evaluate(signal: AbortSignal): Promise<number | null | undefined> {
    const { workload, store } = this.#options;
    const score = metricOf(workload).accumulate();
    for (let start = 0; start < store.length; start += this.#batch) {
      if (signal.aborted) return undefined;
      const places = Array.from({ length: Math.min(this.#batch, store.length - start) }, (_, i) => start + i);
      const items = await store.take(places);
      // What is left of the batch has items of before: nobody looks at what the model says of them.
      for (const [i, item] of items.entries()) this.#inputs.put(i, item);
      const outputs = await this.#run(this.#inputs.tensors);
      for (const [i, { label }] of items.entries()) {
        score.add(postprocess(workload.postprocess, this.#batch === 1 ? outputs : rowsOf(outputs, i)), label);
      }
    }
    return score.value();
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

function wantedOutputs({ model, workload: { postprocess: spec } }: TuningOptions): readonly string[] {
  return 'output' in spec ? [spec.output] : model.graph.outputs.map(({ name }) => name);
}

/** What outputs of a batch say of one item. */
function rowsOf(outputs: readonly NamedTensor[], item: number): NamedTensor[] {
  return outputs.map(({ name, tensor }) => {
    const { dtype, shape, data } = tensor as DenseTensor;
    const each = data.byteLength / (shape[0] as number);
    return { name, tensor: denseTensor(dtype, [1, ...shape.slice(1)], data.subarray(item * each, (item + 1) * each)) };
  });
}
