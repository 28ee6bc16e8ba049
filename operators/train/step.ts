import { TierbedError } from '../../base/errors.js';
import type { RunningStatistics } from '../../onnx/grad/batch-statistics.js';
import type { TrainingGraph } from '../../onnx/grad/training-graph.js';
import { type ModelSession, openModel } from '../../onnx/runtime/session.js';
import { type DenseTensor, elementCount, float32Tensor, float32Values, type NamedTensor } from '../../onnx/tensor.js';
import { addRows } from './add-rows.js';

/** The names and shapes that a training graph is given and gives. */
export interface StepOptions {
  readonly graph: TrainingGraph;
  /** Every weight and buffer of the graph by name: read at each run. */
  readonly arrays: ReadonlyMap<string, Float32Array>;
  /** Tensors that each run gives besides. */
  readonly outputs?: readonly string[];
  readonly threads: number;
}

type Run = ReturnType<ModelSession['bind']>;

/**
 * One step of training, forward and backward: a batch in, the loss, the gradients and the batch's statistics out, all in
 * arrays that stay the same from step to step. What weights do with their gradients is not done here.
 */
export class TrainingStep {
  /** By weight, of its size: of tables too. A weight that the loss does not depend on has none. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** By name, what was asked for besides; of the last run. */
  readonly outputs = new Map<string, DenseTensor>();
  readonly #session: ModelSession;
  readonly #run: Run;
  readonly #options: StepOptions;
  readonly #bound: ReadonlyMap<string, DenseTensor>;
  /** What the last run gave beside the arrays that it writes to. */
  #others: ReadonlyMap<string, DenseTensor> = new Map();
  readonly #copies: readonly { readonly from: string; readonly to: Float32Array }[];

  private constructor(session: ModelSession, options: StepOptions) {
    const { graph, arrays } = options;
    const shapes = new Map(graph.model.graph.inputs.map(({ name, type }) => [name, type]));
    const sized = (name: string): readonly number[] => {
      const type = shapes.get(name);
      if (type?.kind !== 'tensor' || !type.shape)
        throw new TierbedError('internal', `${name} is no weight of the graph`);
      return type.shape as readonly number[];
    };
    const bound = new Map<string, DenseTensor>();
    const gradients = new Map<string, Float32Array>();
    const copies: { from: string; to: Float32Array }[] = [];
    for (const [weight, gradient] of graph.gradients) {
      const values = new Float32Array(elementCount(sized(weight)));
      gradients.set(weight, values);
      if (gradient.kind === 'rows') continue;
      // Two weights may have one tensor as their gradients, and it is written to one place.
      if (bound.has(gradient.tensor)) copies.push({ from: gradient.tensor, to: values });
      else bound.set(gradient.tensor, float32Tensor(sized(weight), values));
    }
    const others: string[] = [];
    for (const { name, dtype, shape } of session.outputs) {
      if (bound.has(name)) continue;
      // No dimensions: a number, or a shape that the runtime does not know before it runs.
      if (dtype === 'float32' && shape.length > 0 && shape.every((dim) => typeof dim === 'number')) {
        const dims = shape as readonly number[];
        bound.set(name, float32Tensor(dims, new Float32Array(elementCount(dims))));
      } else others.push(name);
    }
    const weights = [...arrays].map(([name, values]) => ({ name, tensor: float32Tensor(sized(name), values) }));
    const tied = [...bound].map(([name, tensor]) => ({ name, tensor }));
    this.#run = session.bind(weights, tied, others);
    this.#session = session;
    this.#options = options;
    this.#bound = bound;
    this.#copies = copies;
    this.gradients = gradients;
    for (const name of options.outputs ?? []) {
      const tensor = bound.get(name);
      if (tensor) this.outputs.set(name, tensor);
    }
  }

  /** @throws TierbedError `invalid` when the runtime refuses the graph */
  static async open(options: StepOptions): Promise<TrainingStep> {
    const session = await openModel(options.graph.model, {
      threads: options.threads,
      // Laid out from the run before, memory would be taken twice.
      ...{ spinning: false, fuseQuantised: false, planMemory: false },
    });
    try {
      return new TrainingStep(session, options);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /**
   * @param inputs the model's and the loss's own
   * @returns the loss
   * @throws TierbedError `invalid` when an input does not fit, or the runtime fails
   */
  async run(inputs: readonly NamedTensor[]): Promise<number> {
    const results = await this.#run(inputs);
    this.#others = new Map(results.map(({ name, tensor }) => [name, tensor as DenseTensor]));
    for (const { from, to } of this.#copies) to.set(float32Values(this.#bound.get(from) as DenseTensor));
    const given = new Map(inputs.map(({ name, tensor }) => [name, tensor as DenseTensor]));
    const find = (name: string): DenseTensor => this.#given(name) ?? (given.get(name) as DenseTensor);
    for (const [weight, gradient] of this.#options.graph.gradients) {
      if (gradient.kind !== 'rows') continue;
      const table = this.gradients.get(weight) as Float32Array;
      table.fill(0);
      for (const { indices, rows } of gradient.parts) {
        const [picks, values] = [find(indices), float32Values(find(rows))];
        addRows(table, values.length / Math.max(1, elementCount(picks.shape)), picks, values, weight);
      }
    }
    for (const name of this.#options.outputs ?? []) this.outputs.set(name, find(name));
    return float32Values(find(this.#options.graph.loss))[0] as number;
  }

  /** An output of the last run. */
  #given(name: string): DenseTensor | undefined {
    return this.#bound.get(name) ?? this.#others.get(name);
  }

  /** Moves the running statistics of normalisations, in place, towards those of the last batch. */
  updateStatistics(running: ReadonlyMap<string, Float32Array>): void {
    for (const statistics of this.#options.graph.statistics) {
      const batch = (name: string): Float32Array => float32Values(this.#given(name) as DenseTensor);
      moveStatistics(statistics, running, batch(statistics.batchMean), batch(statistics.batchVariance));
    }
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

/**
 * running = momentum * running + (1 - momentum) * batch: momentum as ONNX has it (PyTorch's is 1 - this), the batch's
 * variance with Bessel's correction, as PyTorch keeps it.
 */
export function moveStatistics(
  { mean, variance, momentum, count }: RunningStatistics,
  running: ReadonlyMap<string, Float32Array>,
  batchMean: Float32Array,
  batchVariance: Float32Array,
): void {
  const [means, variances] = [running.get(mean) as Float32Array, running.get(variance) as Float32Array];
  const rest = 1 - momentum;
  const unbiased = (rest * count) / (count - 1);
  for (let i = 0; i < means.length; i++) {
    means[i] = momentum * (means[i] as number) + rest * (batchMean[i] as number);
    variances[i] = momentum * (variances[i] as number) + unbiased * (batchVariance[i] as number);
  }
}
