/** Bits of one element by TensorProto.DataType; strings (8) have no fixed size. */
const ELEMENT_BITS: Readonly<Record<number, number>> = {
  1: 32, // float
  2: 8, // uint8
  3: 8, // int8
  4: 16, // uint16
  5: 16, // int16
  6: 32, // int32
  7: 64, // int64
  9: 8, // bool
  10: 16, // float16
  11: 64, // double
  12: 32, // uint32
  13: 64, // uint64
  14: 64, // complex64
  15: 128, // complex128
  16: 16, // bfloat16
  17: 8, // float8e4m3fn
  18: 8, // float8e4m3fnuz
  19: 8, // float8e5m2
  20: 8, // float8e5m2fnuz
  21: 4, // uint4
  22: 4, // int4
  23: 4, // float4e2m1
  24: 8, // float8e8m0
  25: 2, // uint2
  26: 2, // int2
};

const NAMES: readonly string[] = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
];

/** Bits of one element of a TensorProto.DataType, or undefined for strings and for types this table does not know. */
export function elementBits(dataType: number): number | undefined {
  return ELEMENT_BITS[dataType];
}

/** A name of any TensorProto.DataType, for people. */
export function dataTypeName(dataType: number): string {
  return NAMES[dataType] ?? `type ${dataType}`;
}

/** Bytes that `elements` of a type take in raw_data (types under 8 bits are packed), or undefined as in `elementBits`. */
export function rawBytes(dataType: number, elements: number): number | undefined {
  const bits = ELEMENT_BITS[dataType];
  // Divided first: elements * bits may leave the exact numbers.
  return bits === undefined ? undefined : bits < 8 ? Math.ceil(elements / (8 / bits)) : elements * (bits / 8);
}
