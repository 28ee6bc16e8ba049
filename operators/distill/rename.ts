import type { Model, ValueInfo } from '../../onnx/model.js';
import { FreshNames } from '../../onnx/passes/names.js';
import { renameUses } from '../../onnx/passes/rename.js';

/**
 * A model with tensors of its main graph renamed. A tensor that has one of the new names already gets another.
 *
 * @param wanted new names by old ones
 */
export function renamedValues(model: Model, wanted: ReadonlyMap<string, string>): Model {
  const renaming = new Map([...wanted].filter(([from, to]) => from !== to));
  if (renaming.size === 0) return model;
  const fresh = new FreshNames(model);
  for (const to of [...renaming.values()]) {
    const free = fresh.free(to);
    if (free !== to && !renaming.has(to)) renaming.set(to, free);
  }
  const named = (name: string): string => renaming.get(name) ?? name;
  const info = (value: ValueInfo): ValueInfo => ({ ...value, name: named(value.name) });
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      nodes: graph.nodes.map((node) => ({ ...renameUses(node, renaming), outputs: node.outputs.map(named) })),
      initializers: graph.initializers.map((each) =>
        renaming.has(each.name) ? { ...each, name: named(each.name) } : each,
      ),
      inputs: graph.inputs.map(info),
      outputs: graph.outputs.map(info),
      valueInfo: graph.valueInfo.map(info),
    },
  };
}
