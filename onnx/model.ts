import type { DType } from './tensor.js';

/**
 * ONNX's ModelProto as plain data (onnx.proto, IR version 3 to 12). Field names are onnx.proto's in camel case.
 * Values are treated as immutable: a pass returns a new graph and shares what it did not change.
 * `unknown` holds the raw bytes of fields this schema does not know, so that they survive being read and written.
 */
export interface Model {
  readonly irVersion: number;
  readonly opsetImport: readonly OpsetId[];
  readonly producerName: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: bigint;
  readonly docString: string;
  readonly metadataProps: readonly StringEntry[];
  readonly graph: Graph;
  readonly functions: readonly FunctionProto[];
  /** TrainingInfoProto messages as they were decoded: passed through. */
  readonly trainingInfo?: readonly object[];
  /** DeviceConfigurationProto messages as they were decoded: passed through. */
  readonly configuration?: readonly object[];
  readonly unknown?: readonly Uint8Array[];
}

export interface OpsetId {
  /** '' is ai.onnx. */
  readonly domain: string;
  readonly version: number;
  readonly unknown?: readonly Uint8Array[];
}

export interface StringEntry {
  readonly key: string;
  readonly value: string;
  readonly unknown?: readonly Uint8Array[];
}

export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  readonly sparseInitializers: readonly SparseInitializer[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly valueInfo: readonly ValueInfo[];
  readonly docString: string;
  readonly quantizationAnnotation: readonly QuantizationAnnotation[];
  readonly metadataProps: readonly StringEntry[];
  readonly unknown?: readonly Uint8Array[];
}

/** TensorAnnotation: the initializers (scale, zero point) that say how a tensor is quantised. */
export interface QuantizationAnnotation {
  readonly tensorName: string;
  readonly quantParameterTensorNames: readonly StringEntry[];
  readonly unknown?: readonly Uint8Array[];
}

export interface Node {
  readonly name: string;
  readonly opType: string;
  /** '' is ai.onnx. */
  readonly domain: string;
  /** Tensor names; '' is an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly Attribute[];
  readonly docString: string;
  readonly overload: string;
  readonly metadataProps: readonly StringEntry[];
  /** NodeDeviceConfigurationProto messages as they were decoded: passed through. */
  readonly deviceConfigurations?: readonly object[];
  readonly unknown?: readonly Uint8Array[];
}

/** One attribute; `value` is tagged by AttributeProto's type names in lower case. */
export interface Attribute {
  readonly name: string;
  readonly docString: string;
  readonly refAttrName: string;
  readonly value: AttributeValue;
  readonly unknown?: readonly Uint8Array[];
}

export type AttributeValue =
  | { readonly type: 'float'; readonly f: number }
  | { readonly type: 'int'; readonly i: bigint }
  | { readonly type: 'string'; readonly s: Uint8Array }
  | { readonly type: 'tensor'; readonly t: Initializer }
  | { readonly type: 'graph'; readonly g: Graph }
  | { readonly type: 'sparseTensor'; readonly sparseTensor: SparseInitializer }
  | { readonly type: 'typeProto'; readonly tp: ValueType }
  | { readonly type: 'floats'; readonly floats: readonly number[] }
  | { readonly type: 'ints'; readonly ints: readonly bigint[] }
  | { readonly type: 'strings'; readonly strings: readonly Uint8Array[] }
  | { readonly type: 'tensors'; readonly tensors: readonly Initializer[] }
  | { readonly type: 'graphs'; readonly graphs: readonly Graph[] }
  | { readonly type: 'sparseTensors'; readonly sparseTensors: readonly SparseInitializer[] }
  | { readonly type: 'typeProtos'; readonly typeProtos: readonly ValueType[] }
  | { readonly type: 'undefined' };

/**
 * TensorProto. However the file stored the elements (raw_data, float_data, int32_data... or an external file), `data` is
 * their raw little-endian bytes: a view of the file's bytes where the file had raw_data. Strings are kept apart.
 */
export interface Initializer {
  readonly name: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType's number, so that types this schema has no name for survive. */
  readonly dataType: number;
  readonly data: TensorData;
  readonly docString: string;
  readonly metadataProps: readonly StringEntry[];
  readonly unknown?: readonly Uint8Array[];
}

export type TensorData =
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'strings'; readonly values: readonly Uint8Array[] }
  /** Elements in a file beside the model, not read into memory. `path` is absolute. */
  | { readonly kind: 'external'; readonly path: string; readonly offset: number; readonly length: number };

export interface SparseInitializer {
  readonly values: Initializer;
  readonly indices: Initializer;
  readonly dims: readonly number[];
  readonly unknown?: readonly Uint8Array[];
}

/** A dimension: a number, a symbol such as `N`, or undefined when nothing is known of it. */
export type Dim = number | string | undefined;

/** TypeProto. `extras` holds what no computation needs. */
export type ValueType = (
  | { readonly kind: 'tensor'; readonly elemType: number; readonly shape: readonly Dim[] | undefined }
  | { readonly kind: 'sparseTensor'; readonly elemType: number; readonly shape: readonly Dim[] | undefined }
  | { readonly kind: 'sequence'; readonly elem: ValueType }
  | { readonly kind: 'optional'; readonly elem: ValueType }
  | { readonly kind: 'map'; readonly keyType: number; readonly value: ValueType }
  | { readonly kind: 'opaque'; readonly domain: string; readonly name: string }
  | { readonly kind: 'undefined' }
) & { readonly extras?: TypeExtras };

/** Denotations (such as DATA_CHANNEL) and fields this schema does not know, of a type, its shape and its dimensions. */
export interface TypeExtras {
  readonly denotation?: string;
  readonly unknown?: readonly Uint8Array[];
  /** Of the message inside: TypeProto.Tensor, Sequence... */
  readonly innerUnknown?: readonly Uint8Array[];
  readonly shapeUnknown?: readonly Uint8Array[];
  /** One a dimension; dropped when the rank changes. */
  readonly dims?: readonly { readonly denotation?: string; readonly unknown?: readonly Uint8Array[] }[];
}

export interface ValueInfo {
  readonly name: string;
  readonly type: ValueType;
  readonly docString: string;
  readonly metadataProps: readonly StringEntry[];
  readonly unknown?: readonly Uint8Array[];
}

/** FunctionProto: a model-local function. */
export interface FunctionProto {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
  readonly attributeProtos: readonly Attribute[];
  readonly nodes: readonly Node[];
  readonly opsetImport: readonly OpsetId[];
  readonly valueInfo: readonly ValueInfo[];
  readonly docString: string;
  readonly metadataProps: readonly StringEntry[];
  readonly unknown?: readonly Uint8Array[];
}

/** TensorProto.DataType numbers by name (onnx.proto). */
export const DATA_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const BY_NUMBER: ReadonlyMap<number, DType> = new Map(
  Object.entries(DATA_TYPE).map(([name, number]) => [number, name as DType]),
);

/** The name of a TensorProto.DataType number, or undefined for one this schema has no name for. */
export function dtypeOf(dataType: number): DType | undefined {
  return BY_NUMBER.get(dataType);
}
