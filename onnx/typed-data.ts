import { elementBits } from './data-types.js';
import { toBigInt, type WireInt64, type WireTensor } from './schema.js';

/**
 * The elements that a TensorProto holds in float_data, int32_data, int64_data, double_data or uint64_data as raw
 * little-endian bytes. Which field holds which type is onnx.proto's rule: int32_data also carries the small integers,
 * bool, the bit patterns of the 16- and 8-bit floats, and pairs of 4-bit numbers.
 *
 * @returns undefined when the tensor has no such field
 */
export function typedBytes(tensor: WireTensor): Uint8Array | undefined {
  if (tensor.floatData?.length) return floats(tensor.floatData);
  if (tensor.int32Data?.length) return integers(tensor.int32Data, elementBits(tensor.dataType ?? 0) ?? 32);
  if (tensor.int64Data?.length) return longs(tensor.int64Data, 64);
  if (tensor.doubleData?.length) return doubles(tensor.doubleData);
  if (tensor.uint64Data?.length) return longs(tensor.uint64Data, elementBits(tensor.dataType ?? 0) ?? 64);
  return undefined;
}

function floats(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i] as number, true);
  return bytes;
}

function doubles(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat64(i * 8, values[i] as number, true);
  return bytes;
}

function integers(values: readonly number[], bits: number): Uint8Array {
  const width = Math.max(1, bits / 8);
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (width === 1) bytes[i] = value;
    else if (width === 2) view.setUint16(i * 2, value, true);
    else view.setInt32(i * width, value, true);
  }
  return bytes;
}

function longs(values: readonly WireInt64[], bits: number): Uint8Array {
  const width = bits === 32 ? 4 : 8;
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = toBigInt(values[i]);
    if (width === 4) view.setUint32(i * 4, Number(BigInt.asUintN(32, value)), true);
    else view.setBigInt64(i * 8, BigInt.asIntN(64, value), true);
  }
  return bytes;
}
