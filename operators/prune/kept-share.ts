import { modelParameters, nodeCosts } from '../../onnx/cost.js';
import type { TensorType } from '../../onnx/infer.js';
import { itemValues } from '../../onnx/inspect.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import type { StageFigures } from '../figures.js';
import { itemDims } from '../partition/item.js';
import type { Grouping, PruningGroup } from './groups.js';
import { removeUnits } from './remove.js';

/** What a target counts: multiply-accumulates of one item, or elements of all initializers. */
export type CostName = 'macs' | 'parameters';

/** The share of a cost that is kept without some units, by their ids. */
export type KeptShare = (gone: ReadonlySet<number>) => number;

/**
 * Counts what would be kept, as the figures of the smaller model will say, without making it: by the shapes that tensors
 * have when indices are gone.
 *
 * @param before figures of the model as it was given
 * @param groups those that may lose units
 * @param item the inputs of one item, which say how large free dimensions are
 * @returns NaN for multiply-accumulates where a shape that decides them is not known
 */
export async function keptShare(
  grouping: Grouping,
  groups: readonly PruningGroup[],
  cost: CostName,
  before: Pick<StageFigures, CostName>,
  item: readonly NamedTensor[] | undefined,
): Promise<KeptShare> {
  const { model } = grouping;
  if (cost === 'macs') {
    const values = await itemValues(model, itemDims(model, item));
    const counted = [...nodeCosts(model, values)].flatMap(([node, { macs }]) => (macs === 0 ? [] : [node]));
    const alone = { ...model, graph: { ...model.graph, nodes: counted } };
    return (gone) => {
      let sum = 0;
      for (const { macs } of nodeCosts(alone, withoutUnits(grouping, values, gone)).values()) sum += macs;
      return sum / (before.macs ?? Number.NaN);
    };
  }
  const shapes = new Map(
    model.graph.initializers.map(({ name, dims, dataType }) => [name, { dtype: dataType, shape: dims }]),
  );
  const elements = (gone: ReadonlySet<number>): number => {
    let sum = 0;
    for (const { shape } of withoutUnits(grouping, shapes, gone).values()) {
      sum += shape.reduce<number>((product, dim) => product * (dim as number), 1);
    }
    return sum;
  };
  // Constants that say sizes come and go with the nodes that have them.
  const most = new Set(groups.flatMap(({ units }) => units.slice(1).map(({ id }) => id)));
  const constants = modelParameters(await removeUnits(grouping, most)) - elements(most);
  return (gone) => (elements(gone) + (gone.size > 0 ? constants : 0)) / before.parameters;
}

/** Shapes of tensors that have lost the indices of units. */
function withoutUnits(
  { units }: Grouping,
  shapes: ReadonlyMap<string, TensorType>,
  gone: ReadonlySet<number>,
): ReadonlyMap<string, TensorType> {
  return new Map(
    [...shapes].map(([name, { dtype, shape }]): [string, TensorType] => {
      const axes = units.get(name);
      if (!axes) return [name, { dtype, shape }];
      return [name, { dtype, shape: shape.map((dim, axis) => keptOf(dim, axes[axis], gone)) }];
    }),
  );
}

/** Indices that are left. An axis that others went into may be longer, with the free sizes of an item, than its labels. */
function keptOf<T>(dim: T, ids: Int32Array | undefined, gone: ReadonlySet<number>): T | number {
  if (!ids || typeof dim !== 'number') return dim;
  let left = 0;
  for (const id of ids) if (!gone.has(id)) left++;
  return Math.round((dim * left) / ids.length);
}
