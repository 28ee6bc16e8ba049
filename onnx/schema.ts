import { join } from 'node:path';
import protobuf from 'protobufjs';
import { packageRoot } from '../base/paths.js';

/** The messages of proto/onnx.proto as protobufjs has them: every field may be missing. */
export interface Wire {
  $unknowns?: Uint8Array[];
}

/** An int64 of the wire: a number, or two halves where it may not fit one. */
export type WireInt64 = number | { readonly low: number; readonly high: number };

export interface WireEntry extends Wire {
  key?: string;
  value?: string;
}

export interface WireOpset extends Wire {
  domain?: string;
  version?: WireInt64;
}

export interface WireModel extends Wire {
  irVersion?: WireInt64;
  producerName?: string;
  producerVersion?: string;
  domain?: string;
  modelVersion?: WireInt64;
  docString?: string;
  graph?: WireGraph;
  opsetImport?: WireOpset[];
  metadataProps?: WireEntry[];
  trainingInfo?: object[];
  functions?: WireFunction[];
  configuration?: object[];
}

export interface WireGraph extends Wire {
  node?: WireNode[];
  name?: string;
  initializer?: WireTensor[];
  docString?: string;
  input?: WireValueInfo[];
  output?: WireValueInfo[];
  valueInfo?: WireValueInfo[];
  quantizationAnnotation?: WireAnnotation[];
  sparseInitializer?: WireSparse[];
  metadataProps?: WireEntry[];
}

export interface WireAnnotation extends Wire {
  tensorName?: string;
  quantParameterTensorNames?: WireEntry[];
}

export interface WireNode extends Wire {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  attribute?: WireAttribute[];
  docString?: string;
  domain?: string;
  overload?: string;
  metadataProps?: WireEntry[];
  deviceConfigurations?: object[];
}

export interface WireAttribute extends Wire {
  name?: string;
  f?: number;
  i?: WireInt64;
  s?: Uint8Array;
  t?: WireTensor;
  g?: WireGraph;
  floats?: number[];
  ints?: WireInt64[];
  strings?: Uint8Array[];
  tensors?: WireTensor[];
  graphs?: WireGraph[];
  docString?: string;
  tp?: WireType;
  typeProtos?: WireType[];
  type?: number;
  refAttrName?: string;
  sparseTensor?: WireSparse;
  sparseTensors?: WireSparse[];
}

export interface WireTensor extends Wire {
  dims?: WireInt64[];
  dataType?: number;
  segment?: object;
  floatData?: number[];
  int32Data?: number[];
  stringData?: Uint8Array[];
  int64Data?: WireInt64[];
  name?: string;
  rawData?: Uint8Array;
  doubleData?: number[];
  uint64Data?: WireInt64[];
  docString?: string;
  externalData?: WireEntry[];
  dataLocation?: number;
  metadataProps?: WireEntry[];
}

export interface WireSparse extends Wire {
  values?: WireTensor;
  indices?: WireTensor;
  dims?: WireInt64[];
}

export interface WireValueInfo extends Wire {
  name?: string;
  type?: WireType;
  docString?: string;
  metadataProps?: WireEntry[];
}

export interface WireType extends Wire {
  tensorType?: WireTensorType;
  sparseTensorType?: WireTensorType;
  sequenceType?: Wire & { elemType?: WireType };
  optionalType?: Wire & { elemType?: WireType };
  mapType?: Wire & { keyType?: number; valueType?: WireType };
  opaqueType?: Wire & { domain?: string; name?: string };
  denotation?: string;
}

export interface WireTensorType extends Wire {
  elemType?: number;
  shape?: Wire & { dim?: WireDim[] };
}

export interface WireDim extends Wire {
  dimValue?: WireInt64;
  dimParam?: string;
  denotation?: string;
}

export interface WireFunction extends Wire {
  name?: string;
  input?: string[];
  output?: string[];
  attribute?: string[];
  node?: WireNode[];
  docString?: string;
  opsetImport?: WireOpset[];
  domain?: string;
  attributeProto?: WireAttribute[];
  valueInfo?: WireValueInfo[];
  overload?: string;
  metadataProps?: WireEntry[];
}

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  typeProto: 13,
  typeProtos: 14,
} as const;

/** TensorProto.DataLocation's EXTERNAL. */
export const EXTERNAL_LOCATION = 1;

/** A protobuf message has at most 2^31 - 1 bytes (https://protobuf.dev/programming-guides/proto-limits/). */
export const MESSAGE_LIMIT_BYTES = 0x7fff_ffff;

let modelType: protobuf.Type | undefined;

function loadModelType(): protobuf.Type {
  modelType ??= protobuf.loadSync(join(packageRoot, 'proto', 'onnx.proto')).lookupType('onnx.ModelProto');
  return modelType;
}

/**
 * Parses ModelProto. Byte fields are views of `bytes`; fields the schema does not know are kept.
 *
 * @throws Error of protobufjs when the bytes are not such a message, or are nested more than 100 deep
 */
export function decodeWire(bytes: Uint8Array): WireModel {
  // As a Buffer, protobufjs reads byte fields as views; of a plain Uint8Array it would make copies.
  const reader = protobuf.Reader.create(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  reader.discardUnknown = false;
  return loadModelType().decode(reader) as WireModel;
}

/** Serialises ModelProto: one allocation of the message's size. */
export function encodeWire(model: WireModel): Uint8Array {
  return loadModelType()
    .encode(model as object as protobuf.Message)
    .finish();
}

/** An int64 of the wire, all 64 bits of it. */
export function toBigInt(value: WireInt64 | undefined): bigint {
  if (value === undefined) return 0n;
  if (typeof value === 'number') return BigInt(value);
  return BigInt.asIntN(64, (BigInt(value.high) << 32n) | BigInt(value.low >>> 0));
}

/** An int64 of the wire as a number: exact up to 2^53. */
export function toNumber(value: WireInt64 | undefined): number {
  if (value === undefined) return 0;
  return typeof value === 'number' ? value : value.high * 0x1_0000_0000 + (value.low >>> 0);
}

/** An int64 for the wire. */
export function fromBigInt(value: bigint): WireInt64 {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)) };
}
