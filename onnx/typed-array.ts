import type { DType } from './tensor.js';

/**
 * The typed array that holds each dtype's elements in memory. float16 is held by its bits; bfloat16 and string have none.
 */
export const TYPED_ARRAY = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const satisfies Partial<Record<DType, unknown>>;
