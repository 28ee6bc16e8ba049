import { TierbedError } from '../../base/errors.js';
import { dtypeOf, type ValueInfo } from '../../onnx/model.js';
import { denseTensor, ELEMENT_BYTES, elementCount, type NamedTensor } from '../../onnx/tensor.js';
import type { PreparedItem } from '../../workloads/prepared.js';

type Elements = Float32Array | BigInt64Array | Int32Array | Uint8Array;

/** The place of one item in an input of a batch. */
export interface Slot {
  readonly input: string;
  /** Without the axis of the batch. */
  readonly shape: readonly number[];
  /** The item's elements; of types other than float32, int64 and int32 its bytes. */
  readonly values: Elements;
}

/** The inputs of a batch, in memory that every batch uses. */
export class BatchInputs {
  /** By item, then by input. */
  readonly slots: readonly (readonly Slot[])[];
  readonly tensors: readonly NamedTensor[];

  /**
   * @param infos inputs whose dimensions are numbers, the batch first
   * @throws TierbedError `invalid` for an input without an axis for the batch
   */
  constructor(infos: readonly ValueInfo[], batch: number) {
    const slots = Array.from({ length: batch }, (): Slot[] => []);
    this.tensors = infos.map(({ name, type }) => {
      const dtype = type.kind === 'tensor' ? dtypeOf(type.elemType) : undefined;
      const shape = (type.kind === 'tensor' ? type.shape : undefined) as readonly number[] | undefined;
      if (dtype === undefined || dtype === 'string' || shape === undefined || shape[0] !== batch) {
        throw new TierbedError(
          'invalid',
          `input ${name} [${shape?.join(', ') ?? '?'}] has no axis for ${batch} items`,
          {
            fix: 'Export the model with a variable batch as the first axis of every input.',
          },
        );
      }
      const each = elementCount(shape.slice(1));
      const bytes = new Uint8Array(batch * each * ELEMENT_BYTES[dtype]);
      const all = elementsOf(dtype, bytes);
      const width = all.length / batch;
      for (const [i, list] of slots.entries()) {
        list.push({ input: name, shape: shape.slice(1), values: all.subarray(i * width, (i + 1) * width) });
      }
      return { name, tensor: denseTensor(dtype, shape, bytes) };
    });
    this.slots = slots;
  }

  /** Puts an item into its place. @throws TierbedError `invalid` when its inputs are not those of the model */
  put(place: number, { id, inputs }: PreparedItem): void {
    for (const [i, { input, values, shape }] of (this.slots[place] as readonly Slot[]).entries()) {
      const found = inputs.find(({ name }) => name === input)?.tensor;
      const wanted = this.tensors[i]?.tensor.dtype;
      if (!found || found.dtype !== wanted || !sameItem(found.shape, shape)) {
        const got = found ? `${found.dtype} [${found.shape.join(', ')}]` : 'none';
        throw new TierbedError(
          'invalid',
          `the item ${id}: input ${input} must be ${wanted} [1, ${shape.join(', ')}], got ${got}`,
          {
            fix: 'Make all items one size: training runs them in batches.',
          },
        );
      }
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength).set(found.data as Uint8Array);
    }
  }
}

function sameItem([batch, ...rest]: readonly number[], shape: readonly number[]): boolean {
  return batch === 1 && rest.length === shape.length && rest.every((dim, i) => dim === shape[i]);
}

function elementsOf(dtype: string, { buffer }: Uint8Array): Elements {
  if (dtype === 'float32') return new Float32Array(buffer);
  if (dtype === 'int64') return new BigInt64Array(buffer);
  return dtype === 'int32' ? new Int32Array(buffer) : new Uint8Array(buffer);
}
