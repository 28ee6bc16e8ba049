import type { DType } from '../../../onnx/tensor.js';

/** Tensor data types by the name that the Open Inference Protocol gives them. */
export const DATATYPES: Readonly<Record<string, DType>> = Object.freeze(
  Object.assign(Object.create(null) as Record<string, DType>, {
    BOOL: 'bool',
    UINT8: 'uint8',
    UINT16: 'uint16',
    UINT32: 'uint32',
    UINT64: 'uint64',
    INT8: 'int8',
    INT16: 'int16',
    INT32: 'int32',
    INT64: 'int64',
    FP16: 'float16',
    BF16: 'bfloat16',
    FP32: 'float32',
    FP64: 'float64',
    BYTES: 'string',
  } satisfies Record<string, DType>),
);

/** The Open Inference Protocol's name of each data type. */
export const DATATYPE_OF: Readonly<Record<DType, string>> = Object.fromEntries(
  Object.entries(DATATYPES).map(([name, dtype]) => [dtype, name]),
) as Record<DType, string>;
