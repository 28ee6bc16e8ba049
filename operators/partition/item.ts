import { givenInputs, symbolOf } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { preparedItems } from '../../workloads/prepared.js';
import type { Workload } from '../../workloads/types.js';

/** The first item of the evaluation part that can be prepared, as the model takes it; undefined without one. */
export async function firstItem(workload: Workload, signal: AbortSignal): Promise<readonly NamedTensor[] | undefined> {
  for await (const { inputs } of preparedItems(workload, 'evaluation', () => {}, signal)) return inputs;
  return undefined;
}

/** The sizes that an item gives the free dimensions of a model's inputs, by symbol as `inspectModel` takes them. */
export function itemDims(model: Model, item: readonly NamedTensor[] = []): Readonly<Record<string, number>> {
  const dims: Record<string, number> = {};
  for (const info of givenInputs(model)) {
    const given = item.find(({ name }) => name === info.name)?.tensor.shape;
    if (!given || info.type.kind !== 'tensor') continue;
    for (const [axis, dim] of (info.type.shape ?? []).entries()) {
      const symbol = symbolOf(info, dim, axis);
      const size = given[axis];
      if (typeof symbol === 'string' && size !== undefined && size > 0) dims[symbol] = size;
    }
  }
  return dims;
}
