import { inferValues } from '../../../onnx/infer.js';
import { DATA_TYPE, type Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import type { ActivationType } from '../../../operators/quantise/graph/activations.js';
import type { Choice } from '../../../operators/quantise/graph/choice.js';
import { type Plan, planQuantisation } from '../../../operators/quantise/graph/plan.js';
import { View } from '../../../operators/quantise/graph/view.js';
import type { Range } from '../../../operators/quantise/range.js';

/** A model with inner tensors as further outputs. */
export function exposed(model: Model, names: readonly string[]): Model {
  const there = new Set(model.graph.outputs.map(({ name }) => name));
  const inputs = new Set(model.graph.inputs.map(({ name }) => name));
  const added = names
    .filter((name) => !there.has(name) && !inputs.has(name))
    .map((name) => ({
      ...{ name, docString: '', metadataProps: [] },
      type: { kind: 'tensor' as const, elemType: DATA_TYPE.float32, shape: undefined },
    }));
  return { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, ...added] } };
}

/** The least and greatest value that tensors take over items. */
export async function minMax(
  model: Model,
  names: readonly string[],
  items: readonly (readonly NamedTensor[])[],
): Promise<ReadonlyMap<string, Range>> {
  const session = await openModel(exposed(model, names), { threads: 1, graphOptimization: false });
  const ranges = new Map<string, Range>();
  for (const item of items) {
    const given = [...item, ...(await session.run(item))];
    for (const name of names) {
      const tensor = given.find((candidate) => candidate.name === name)?.tensor;
      if (!tensor) throw new Error(`no tensor ${name}`);
      let { min, max } = ranges.get(name) ?? { min: Infinity, max: -Infinity };
      for (const value of float32Values(tensor)) [min, max] = [Math.min(min, value), Math.max(max, value)];
      ranges.set(name, { min, max });
    }
  }
  await session.close();
  return ranges;
}

/** A model's plan and its ranges over items. */
export async function planned(
  model: Model,
  items: readonly (readonly NamedTensor[])[],
  activations: ActivationType = 'uint8',
  choice: Choice = {},
): Promise<{ plan: Plan; ranges: ReadonlyMap<string, Range> }> {
  const plan = planQuantisation(new View(model, await inferValues(model)), choice, activations);
  return { plan, ranges: await minMax(model, plan.tensors, items) };
}
