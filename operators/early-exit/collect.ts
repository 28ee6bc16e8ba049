import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { GraphBuilder, type Value } from '../../onnx/build.js';
import type { Model } from '../../onnx/model.js';
import { openModel } from '../../onnx/runtime/session.js';
import { float32Values, type NamedTensor } from '../../onnx/tensor.js';
import { argmax } from '../../workloads/postprocess/argmax.js';
import { preparedItems, type UnreadableItem } from '../../workloads/prepared.js';
import type { Samples } from '../../workloads/ridge.js';
import type { Workload, WorkloadPart } from '../../workloads/types.js';
import { type Argmax, classIndex } from './classes.js';
import type { FeatureForm } from './forms.js';

/** A place for an exit: the tensor that its head looks at, and the forms in which it may. */
export interface ExitPlace {
  readonly tensor: Value;
  readonly forms: readonly FeatureForm[];
}

/** What a part of the data gives at every place. */
export interface Collected {
  /** By place, then by form; the classes are the labels, or without labels what the model itself says. */
  readonly samples: readonly (readonly Samples[])[];
  /** Whether the whole model is right, by item. */
  readonly right: readonly boolean[];
  readonly classes: number;
  readonly unreadable: readonly UnreadableItem[];
}

export interface CollectOptions {
  /** At most so many items. */
  readonly items: number;
  readonly threads: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Runs a part through the whole model and keeps the features at every place: memory grows with items times features.
 *
 * @throws TierbedError `invalid` when the part is empty, none of it can be read, a label is no class, or a feature is no
 *   number; `cancelled`
 */
export async function collect(
  model: Model,
  places: readonly ExitPlace[],
  workload: Workload,
  spec: Argmax,
  part: Exclude<WorkloadPart, 'evaluation'>,
  { items, threads, progress, signal }: CollectOptions,
): Promise<Collected> {
  if (workload[part].length === 0) {
    throw new TierbedError('invalid', `${workload.name} has no ${part} part, and early-exit fits its heads there`, {
      fix: `Give the workload a split, e.g. \`split: { ${part}: 400 }\` (docs/workloads.md).`,
    });
  }
  const some: Workload = { ...workload, [part]: workload[part].slice(0, items) };
  const { model: probe, outputs } = withFeatures(model, places);
  const rows = places.map(({ forms }) => forms.map((): Float32Array[] => []));
  const classes: number[] = [];
  const right: boolean[] = [];
  const unreadable: UnreadableItem[] = [];
  let classCount = 0;
  const session = await openModel(probe, { threads });
  progress.start(`features of the ${part} part of ${workload.name}`, some[part].length);
  try {
    const wanted = [spec.output, ...outputs.flat()];
    for await (const { id, label, inputs } of preparedItems(some, part, (item) => unreadable.push(item), signal)) {
      const found = await session.run(inputs, wanted);
      for (const [place, names] of outputs.entries()) {
        for (const [form, name] of names.entries()) {
          const { tensor } = found.find((output) => output.name === name) as NamedTensor;
          const row = Float32Array.from(float32Values(tensor));
          if (!row.every(Number.isFinite)) {
            throw new TierbedError('invalid', `${places[place]?.tensor} is not finite on the item ${id}`, {
              fix: 'Look at what the preprocessing makes of that item.',
            });
          }
          rows[place]?.[form]?.push(row);
        }
      }
      const scores = found.find(({ name }) => name === spec.output) as NamedTensor;
      classCount = scores.tensor.shape.at(-1) ?? 1;
      const said = Number(argmax({ kind: 'argmax', output: spec.output }, [scores]));
      const own = label === '' ? said : classIndex(label, spec, classCount);
      classes.push(own);
      right.push(said === own);
      progress.update(classes.length + unreadable.length);
    }
  } finally {
    progress.stop();
    await session.close();
  }
  if (classes.length === 0) {
    throw new TierbedError('invalid', `none of the ${part} items of ${workload.name} can be read`, {
      fix: `The first of them: ${unreadable[0]?.id}: ${unreadable[0]?.reason}`,
    });
  }
  const samples = rows.map((forms) => forms.map((list) => ({ features: joined(list), classes })));
  return { samples, right, classes: classCount, unreadable };
}

/** The whole model, with the features of every place as outputs beside its own. */
function withFeatures(model: Model, places: readonly ExitPlace[]): { model: Model; outputs: string[][] } {
  const g = GraphBuilder.from(model);
  const outputs = places.map(({ tensor, forms }, place) =>
    forms.map((form, i) => {
      const made = form.build(g, tensor, `tierbed.probe${place}.${i}`);
      // One form may be the tensor itself, and one tensor cannot be two outputs.
      const own = g.node('Identity', [made], {}, `tierbed.probe${place}.${i}.output`);
      return g.output(own, 'float32', ['N', form.count]);
    }),
  );
  return { model: g.build(), outputs };
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const width = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) all.set(row, i * width);
  return all;
}
