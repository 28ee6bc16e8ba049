import { GraphBuilder } from '../../onnx/build.js';
import { givenInputs } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import { type ModelSession, openModel } from '../../onnx/runtime/session.js';
import { type DenseTensor, float32Tensor, float32Values, type NamedTensor } from '../../onnx/tensor.js';

/** A teacher that answers: its scores, and what its inner tensors are. */
export interface Teacher {
  /** What it gives, in this order. */
  readonly tensors: readonly string[];
  /** Float32 tensors with the items along the first axis. @throws TierbedError `invalid` when it cannot be run */
  ask(inputs: readonly NamedTensor[]): Promise<readonly DenseTensor[]>;
  close(): Promise<void>;
}

/**
 * Opens a teacher for its inner tensors. A model that was made for batches of one item is asked item by item.
 *
 * @param tensors names of float32 tensors of the model, with the batch along the first axis
 */
export async function openTeacher(model: Model, tensors: readonly string[], threads: number): Promise<Teacher> {
  const g = GraphBuilder.from({ ...model, graph: { ...model.graph, outputs: [] } });
  for (const name of new Set(tensors)) g.output(name, 'float32');
  const session = await openModel(g.build(), { threads });
  const oneByOne = givenInputs(model).some(({ type }) => type.kind === 'tensor' && typeof type.shape?.[0] === 'number');
  const takes = new Set(session.inputs.map(({ name }) => name));
  return {
    tensors,
    async ask(inputs) {
      const given = inputs.filter(({ name }) => takes.has(name));
      if (!oneByOne) return answersOf(session, given, tensors);
      const rows: (readonly DenseTensor[])[] = [];
      for (const item of itemsOf(given)) rows.push(await answersOf(session, item, tensors));
      return tensors.map((_, i) => stacked(rows.map((row) => row[i] as DenseTensor)));
    },
    close: () => session.close(),
  };
}

async function answersOf(
  session: ModelSession,
  inputs: readonly NamedTensor[],
  tensors: readonly string[],
): Promise<readonly DenseTensor[]> {
  const found = new Map((await session.run(inputs)).map(({ name, tensor }) => [name, tensor]));
  return tensors.map((name) => found.get(name) as DenseTensor);
}

/** The items of a batch, each a batch of its own. */
function itemsOf(inputs: readonly NamedTensor[]): readonly (readonly NamedTensor[])[] {
  const count = inputs[0]?.tensor.shape[0] ?? 0;
  return Array.from({ length: count }, (_, i) =>
    inputs.map(({ name, tensor }): NamedTensor => {
      const shape = [1, ...tensor.shape.slice(1)];
      if (tensor.dtype === 'string') return { name, tensor: { ...tensor, shape, data: tensor.data.slice(i, i + 1) } };
      const bytes = tensor.data.byteLength / count;
      return { name, tensor: { ...tensor, shape, data: tensor.data.subarray(i * bytes, (i + 1) * bytes) } };
    }),
  );
}

/** Tensors of one item each as one. */
export function stacked(rows: readonly DenseTensor[]): DenseTensor {
  const [first] = rows as [DenseTensor];
  const values = rows.map((row) => float32Values(row));
  const all = new Float32Array(values.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of values) {
    all.set(row, at);
    at += row.length;
  }
  return float32Tensor([rows.length, ...first.shape.slice(1)], all);
}
