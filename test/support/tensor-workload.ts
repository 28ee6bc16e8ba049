import { float32Tensor } from '../../onnx/tensor.js';
import { encodeItemFile } from '../../workloads/item-file.js';
import type { Workload, WorkloadItem } from '../../workloads/types.js';

/** An item of one float32 tensor. */
export function tensorItem(
  id: string,
  values: readonly number[] | Float32Array,
  shape?: readonly number[],
  name = 'x',
): WorkloadItem {
  const tensor = float32Tensor(shape ?? [1, values.length], Float32Array.from(values));
  return { id, label: '', read: async () => encodeItemFile([{ name, tensor }]) };
}

/** A workload of items of tensors, without a model's file. */
export function tensorWorkload(parts: Partial<Workload>): Workload {
  return {
    ...{ name: 'small', modelPath: '', items: [], training: [], calibration: [], tuning: [], metric: 'none' },
    ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' } },
    ...parts,
  };
}
