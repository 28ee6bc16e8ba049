import { GraphBuilder } from '../../../onnx/build.js';
import { inferKnown } from '../../../onnx/infer.js';
import type { Model } from '../../../onnx/model.js';
import { elementCount, float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import { preparedItems } from '../../../workloads/prepared.js';
import { type Histogram, HistogramBuilder } from '../histogram.js';
import { notFinite } from './not-finite.js';
import { observedPart } from './observed-part.js';
import { type Pass, type PassedItems, runItems } from './run-items.js';

/** Tensors that leave the runtime in one run are in memory together: more than this are gathered in several passes. */
const PASS_BYTES = 256 << 20;

/**
 * The distributions of tensors over all items. The items are run once where the tensors of a run stay under a limit, else
 * once for each group of tensors that does; memory does not grow with the items.
 *
 * @param passBytes the limit
 * @throws TierbedError `invalid` when a value is NaN or infinite, naming tensor and item; as `runItems`
 */
export async function gatherHistograms(
  model: Model,
  tensors: readonly string[],
  pass: Pass,
  passBytes = PASS_BYTES,
): Promise<{ histograms: Map<string, Histogram>; items: PassedItems }> {
  const groups = grouped(tensors, await tensorBytes(model, tensors, pass), passBytes);
  const builders = new Map(tensors.map((tensor) => [tensor, new HistogramBuilder()]));
  let items: PassedItems = { labels: [], unreadable: [] };
  for (const [i, group] of groups.entries()) {
    const round = groups.length > 1 ? `, pass ${i + 1} of ${groups.length}` : '';
    items = await runItems(withTensors(model, group), pass, round, (item, outputs) => {
      for (const { name, tensor } of outputs) {
        if (!builders.get(name)?.add(float32Values(tensor))) throw notFinite(name, item);
      }
    });
  }
  const histograms = new Map<string, Histogram>();
  for (const [tensor, builder] of builders) {
    const histogram = builder.histogram();
    if (histogram) histograms.set(tensor, histogram);
  }
  return { histograms, items };
}

/** Consecutive tensors in groups of at most so many bytes; one that alone has more is a group. */
function grouped(tensors: readonly string[], bytes: readonly number[], limit: number): string[][] {
  const groups: string[][] = [];
  let sum = Number.POSITIVE_INFINITY;
  for (const [i, tensor] of tensors.entries()) {
    const own = bytes[i] as number;
    if (sum + own > limit) {
      groups.push([]);
      sum = 0;
    }
    groups.at(-1)?.push(tensor);
    sum += own;
  }
  return groups;
}

/** Bytes of each tensor for the first item; where that does not follow from the model, those of the largest. */
async function tensorBytes(model: Model, tensors: readonly string[], pass: Pass): Promise<number[]> {
  const dims: Record<string, number> = {};
  for await (const { inputs } of preparedItems(pass.workload, 'calibration', () => {}, pass.signal)) {
    bind(model, inputs, dims);
    break;
  }
  const known = inferKnown(model, dims);
  const bytes = tensors.map((tensor) => {
    const shape = known.get(tensor)?.shape;
    return shape?.every((dim) => typeof dim === 'number') ? 4 * elementCount(shape as readonly number[]) : undefined;
  });
  const largest = bytes.reduce<number>((a, b) => Math.max(a, b ?? 0), 0);
  return bytes.map((own) => own ?? largest);
}

/** Gives the symbols in the shapes of a model's inputs the sizes that an item has. */
function bind(model: Model, inputs: readonly NamedTensor[], dims: Record<string, number>): void {
  for (const { name, type } of model.graph.inputs) {
    const given = inputs.find((input) => input.name === name)?.tensor.shape;
    if (type.kind !== 'tensor' || given?.length !== type.shape?.length) continue;
    for (const [axis, dim] of (type.shape ?? []).entries()) {
      if (typeof dim === 'string') dims[dim] = given?.[axis] as number;
    }
  }
}

/** The model with these tensors as its outputs. */
function withTensors(model: Model, tensors: readonly string[]): Model {
  const g = GraphBuilder.from(observedPart(model, tensors));
  for (const tensor of tensors) g.output(tensor, 'float32');
  return g.build();
}
