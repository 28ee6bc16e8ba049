import { initializerTensor } from '../../onnx/initializer.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import { float32Tensor, float32Values } from '../../onnx/tensor.js';
import type { PruningGroup } from './groups.js';

/** Calls back with each run of consecutive elements that indices along an axis stand for. */
export function eachRun(
  dims: readonly number[],
  axis: number,
  indices: readonly number[],
  visit: (start: number, end: number, index: number) => void,
): void {
  const rows = dims.slice(0, axis).reduce((product, size) => product * size, 1);
  const run = dims.slice(axis + 1).reduce((product, size) => product * size, 1);
  const size = dims[axis] as number;
  for (const index of indices) {
    for (let row = 0; row < rows; row++) {
      const start = (row * size + index) * run;
      visit(start, start + run, index);
    }
  }
}

/** Sets the weights of units to zero, in place. @param weights float32 weights by name; others are left out */
export function zeroUnits(
  groups: readonly PruningGroup[],
  chosen: ReadonlySet<number>,
  weights: ReadonlyMap<string, { readonly dims: readonly number[]; readonly values: Float32Array }>,
): void {
  for (const { axes, units } of groups) {
    const gone = units.filter(({ id }) => chosen.has(id));
    axes.forEach(({ tensor, axis }, place) => {
      const weight = weights.get(tensor);
      if (!weight) return;
      for (const { indices } of gone) {
        eachRun(weight.dims, axis, indices[place] as readonly number[], (start, end) => {
          weight.values.fill(0, start, end);
        });
      }
    });
  }
}

/**
 * The model with all weights of units set to zero: what `removeUnits` must equal, but for groups with `changes`, and for
 * units whose values are not multiplied by a weight behind them.
 */
export function withZeroUnits(model: Model, groups: readonly PruningGroup[], chosen: ReadonlySet<number>): Model {
  const touched = new Set(groups.flatMap(({ axes }) => axes.map(({ tensor }) => tensor)));
  const weights = new Map(
    model.graph.initializers
      .filter(({ name, dataType }) => touched.has(name) && dataType === DATA_TYPE.float32)
      .map((each) => [each.name, { dims: each.dims, values: float32Values(initializerTensor(each)).slice() }]),
  );
  zeroUnits(groups, chosen, weights);
  const initializers = model.graph.initializers.map((each) => {
    const weight = weights.get(each.name);
    if (!weight) return each;
    return { ...each, data: { kind: 'raw' as const, bytes: float32Tensor(each.dims, weight.values).data } };
  });
  return { ...model, graph: { ...model.graph, initializers } };
}
