import { givenInputs, symbolOf } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import type { NamedTensor } from '../../onnx/tensor.js';

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
