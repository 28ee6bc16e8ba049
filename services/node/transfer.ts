import type { NamedTensor } from '../../onnx/tensor.js';

/** Views smaller than this are copied: handing a buffer over costs more than that many bytes. */
const SMALL_BYTES = 64 * 1024;

/**
 * Makes tensors ready to go to another thread, with the least copying: a buffer that the tensors fill for the most part
 * is handed over whole (and is gone here); small pieces, and pieces of buffers that hold much else, are copied out.
 */
export function transferable(tensors: readonly NamedTensor[]): { tensors: NamedTensor[]; transfer: ArrayBuffer[] } {
  const used = new Map<ArrayBufferLike, number>();
  for (const view of views(tensors)) used.set(view.buffer, (used.get(view.buffer) ?? 0) + view.byteLength);
  const transfer = new Set<ArrayBuffer>();
  const ready = (view: Uint8Array): Uint8Array => {
    const { buffer } = view;
    const bytes = used.get(buffer) ?? 0;
    if (buffer instanceof ArrayBuffer && bytes >= SMALL_BYTES && bytes * 2 >= buffer.byteLength) {
      transfer.add(buffer);
      return new Uint8Array(buffer, view.byteOffset, view.byteLength);
    }
    const copy = new Uint8Array(view);
    transfer.add(copy.buffer);
    return copy;
  };
  return {
    tensors: tensors.map(({ name, tensor }) => ({
      name,
      tensor:
        tensor.dtype === 'string'
          ? { ...tensor, data: tensor.data.map(ready) }
          : { ...tensor, data: ready(tensor.data) },
    })),
    transfer: [...transfer],
  };
}

/** The same tensors in buffers of their own. */
export function copied(tensors: readonly NamedTensor[]): NamedTensor[] {
  return tensors.map(({ name, tensor }) => ({
    name,
    tensor:
      tensor.dtype === 'string'
        ? { ...tensor, data: tensor.data.map((element) => new Uint8Array(element)) }
        : { ...tensor, data: new Uint8Array(tensor.data) },
  }));
}

function* views(tensors: readonly NamedTensor[]): Iterable<Uint8Array> {
  for (const { tensor } of tensors) {
    if (tensor.dtype === 'string') yield* tensor.data;
    else yield tensor.data;
  }
}
