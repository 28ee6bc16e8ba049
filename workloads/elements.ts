import { type DenseTensor, ELEMENT_BYTES, elementCount } from '../onnx/tensor.js';

type Read = (view: DataView, byte: number) => number;

const READERS: Readonly<Record<DenseTensor['dtype'], Read>> = {
  float32: (view, byte) => view.getFloat32(byte, true),
  float16: (view, byte) => float16(view.getUint16(byte, true)),
  bfloat16: (view, byte) => bfloat16(view.getUint16(byte, true)),
  float64: (view, byte) => view.getFloat64(byte, true),
  int8: (view, byte) => view.getInt8(byte),
  uint8: (view, byte) => view.getUint8(byte),
  int16: (view, byte) => view.getInt16(byte, true),
  uint16: (view, byte) => view.getUint16(byte, true),
  int32: (view, byte) => view.getInt32(byte, true),
  uint32: (view, byte) => view.getUint32(byte, true),
  int64: (view, byte) => Number(view.getBigInt64(byte, true)),
  uint64: (view, byte) => Number(view.getBigUint64(byte, true)),
  bool: (view, byte) => (view.getUint8(byte) === 0 ? 0 : 1),
};

/** The elements of a tensor of any numeric type, one by one as numbers; 64-bit integers beyond 2^53 are rounded. */
export function elementReader(tensor: DenseTensor): { readonly count: number; at(index: number): number } {
  const { dtype, data } = tensor;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const read = READERS[dtype];
  const step = ELEMENT_BYTES[dtype];
  return { count: elementCount(tensor.shape), at: (index) => read(view, index * step) };
}

/** IEEE 754 binary16. */
function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

/** The upper half of a binary32. */
function bfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}
