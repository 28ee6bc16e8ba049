import { TierbedError } from '../../../base/errors.js';
import { type DType, denseTensor, elementCount, type NamedTensor, type Tensor } from '../../../onnx/tensor.js';
import { readClockNs } from '../clock.js';
import { MAX_PARAMETERS, MAX_RANK, MAX_STRINGS, MAX_TENSORS } from '../limits.js';
import { DATATYPES } from './datatypes.js';
import {
  type InferRequest,
  type InferResponse,
  type Parameter,
  type ReceivedStamp,
  SENT_NS,
  SERIALISE_NS,
} from './messages.js';
import { TypedContents } from './typed-contents.js';
import { FIXED64, LENGTH, malformed, VARINT, WireReader } from './wire.js';

/**
 * Decodes a ModelInferRequest. Tensors in raw contents, and FP32 and FP64 ones in typed contents, are views of `message`.
 *
 * @throws TierbedError `invalid` when the bytes are not such a message or the tensors do not fit their shapes
 */
export function decodeInferRequest(message: Uint8Array): InferRequest {
  const { tensors, requestedOutputs, ...common } = decodeMessage(message, 7, 'input');
  return { ...common, inputs: tensors, ...(requestedOutputs.length > 0 && { requestedOutputs }) };
}

/** Decodes a ModelInferResponse; see `decodeInferRequest`. */
export function decodeInferResponse(message: Uint8Array): InferResponse {
  const { tensors, requestedOutputs: _, ...common } = decodeMessage(message, 6, 'output');
  return { ...common, outputs: tensors };
}

/** Decodes a ModelStreamInferResponse. */
export function decodeStreamResponse(message: Uint8Array): InferResponse | { readonly errorMessage: string } {
  const reader = new WireReader(message);
  let errorMessage = '';
  let response: Uint8Array | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === field(1, LENGTH)) errorMessage = reader.string('error_message');
    else if (tag === field(2, LENGTH)) response = reader.bytes();
    else reader.skip(tag);
  }
  if (errorMessage || !response) return { errorMessage: errorMessage || 'an answer without content' };
  return decodeInferResponse(response);
}

interface TensorHead {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly contents: TypedContents | undefined;
  readonly inSharedMemory: boolean;
}

/** Requests and responses have the same fields, but for where raw contents are and that requests have outputs in field 6. */
function decodeMessage(message: Uint8Array, rawField: 6 | 7, kind: 'input' | 'output') {
  const arrivedNs = readClockNs();
  const reader = new WireReader(message);
  let modelName = '';
  let modelVersion = '';
  let id = '';
  const parameters = new Map<string, Parameter>();
  const heads: TensorHead[] = [];
  const requestedOutputs: string[] = [];
  const raw: Uint8Array[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case field(1, LENGTH):
        modelName = reader.string('model_name');
        break;
      case field(2, LENGTH):
        modelVersion = reader.string('model_version');
        break;
      case field(3, LENGTH):
        id = reader.string('id');
        break;
      case field(4, LENGTH):
        if (parameters.size >= MAX_PARAMETERS) throw malformed(`more than ${MAX_PARAMETERS} parameters`);
        readParameter(reader.message(), parameters);
        break;
      case field(5, LENGTH):
        if (heads.length >= MAX_TENSORS) throw malformed(`more than ${MAX_TENSORS} tensors`);
        heads.push(readTensorHead(reader.message(), kind));
        break;
      default:
        if (tag === field(rawField, LENGTH)) {
          if (raw.length >= MAX_TENSORS) throw malformed(`more than ${MAX_TENSORS} raw contents`);
          raw.push(reader.bytes());
        } else if (rawField === 7 && tag === field(6, LENGTH)) {
          if (requestedOutputs.length >= MAX_TENSORS) throw malformed(`more than ${MAX_TENSORS} requested outputs`);
          requestedOutputs.push(readRequestedOutput(reader.message()));
        } else {
          checkUnknown(tag, rawField);
          reader.skip(tag);
        }
    }
  }
  const tensors = heads.map((head, index) => toTensor(head, raw, index, heads.length, kind));
  if (heads.length === 0 && raw.length > 0) throw mismatch(raw.length, 0, kind);
  const sender = takeSenderStamp(parameters);
  const received: ReceivedStamp = {
    bytes: message.byteLength,
    arrivedNs,
    deserialiseNs: readClockNs() - arrivedNs,
    ...(sender && { sender }),
  };
  return {
    modelName,
    ...(modelVersion && { modelVersion }),
    ...(id && { id }),
    parameters,
    tensors,
    requestedOutputs,
    received,
  };
}

function field(number: number, wireType: number): number {
  return number * 8 + wireType;
}

/** A field that the schema knows, with a wire type that it does not have, is damage and not a newer schema. */
function checkUnknown(tag: number, lastField: number): void {
  if (tag >>> 3 <= lastField) throw malformed(`field ${tag >>> 3} has wire type ${tag & 7}`);
}

function readParameter(entry: WireReader, parameters: Map<string, Parameter>): void {
  let key = '';
  let value: Parameter | undefined;
  while (!entry.done) {
    const tag = entry.tag();
    if (tag === field(1, LENGTH)) key = entry.string("a parameter's name");
    else if (tag === field(2, LENGTH)) value = readParameterValue(entry.message(), value);
    else entry.skip(tag);
  }
  // A parameter without a value says nothing.
  if (value !== undefined) parameters.set(key, value);
}

function readParameterValue(reader: WireReader, before: Parameter | undefined): Parameter | undefined {
  let value = before;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === field(1, VARINT)) value = reader.bool();
    else if (tag === field(2, VARINT)) value = reader.int64();
    else if (tag === field(3, LENGTH)) value = reader.string("a parameter's value");
    else if (tag === field(4, FIXED64)) value = reader.double();
    else if (tag === field(5, VARINT)) value = reader.varint();
    else reader.skip(tag);
  }
  return value;
}

function readTensorHead(reader: WireReader, kind: string): TensorHead {
  let name = '';
  let datatype = '';
  let contents: TypedContents | undefined;
  let inSharedMemory = false;
  const shape: number[] = [];
  const dimension = (value: bigint) => {
    if (shape.length >= MAX_RANK) throw malformed(`${kind} ${name} has more than ${MAX_RANK} dimensions`);
    if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new TierbedError('invalid', `${kind} ${name} has a dimension of ${value}`, {
        fix: 'give every dimension as a whole number of at least 0',
      });
    }
    shape.push(Number(value));
  };
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case field(1, LENGTH):
        name = reader.string("a tensor's name");
        break;
      case field(2, LENGTH):
        datatype = reader.string("a tensor's datatype");
        break;
      case field(3, LENGTH): {
        const packed = reader.message();
        while (!packed.done) dimension(packed.int64());
        break;
      }
      case field(3, VARINT):
        dimension(reader.int64());
        break;
      case field(4, LENGTH): {
        const parameters = new Map<string, Parameter>();
        readParameter(reader.message(), parameters);
        inSharedMemory ||= parameters.has('shared_memory_region');
        break;
      }
      case field(5, LENGTH):
        contents ??= new TypedContents();
        contents.read(reader.message());
        break;
      default:
        checkUnknown(tag, 5);
        reader.skip(tag);
    }
  }
  return { name, datatype, shape, contents, inSharedMemory };
}

function readRequestedOutput(reader: WireReader): string {
  let name = '';
  const parameters = new Map<string, Parameter>();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === field(1, LENGTH)) name = reader.string("a requested output's name");
    else if (tag === field(2, LENGTH)) readParameter(reader.message(), parameters);
    else reader.skip(tag);
  }
  for (const unsupported of ['classification', 'shared_memory_region']) {
    if (parameters.has(unsupported)) {
      throw new TierbedError('invalid', `output ${name} is requested with ${unsupported}, which is not supported`, {
        fix: 'request the output as a tensor',
      });
    }
  }
  return name;
}

function toTensor(
  head: TensorHead,
  raw: readonly Uint8Array[],
  index: number,
  count: number,
  kind: 'input' | 'output',
): NamedTensor {
  const { name, datatype, shape, contents } = head;
  const dtype = DATATYPES[datatype];
  if (!dtype) {
    throw new TierbedError('invalid', `${kind} ${name} has the unknown datatype ${JSON.stringify(datatype)}`, {
      fix: `use one of ${Object.keys(DATATYPES).join(', ')}`,
    });
  }
  if (head.inSharedMemory) {
    throw new TierbedError('invalid', `${kind} ${name} is in shared memory, which is not supported`, {
      fix: 'send the tensor in the message',
    });
  }
  if (raw.length > 0) {
    if (raw.length !== count) throw mismatch(raw.length, count, kind);
    if (contents && !contents.empty) {
      throw new TierbedError('invalid', `${kind} ${name} has contents both typed and raw`, {
        fix: `leave contents empty when raw_${kind}_contents is used`,
      });
    }
    return { name, tensor: named(kind, name, () => rawTensor(dtype, shape, raw[index] as Uint8Array)) };
  }
  return { name, tensor: named(kind, name, () => (contents ?? new TypedContents()).tensor(dtype, shape)) };
}

function mismatch(raw: number, tensors: number, kind: string): TierbedError {
  return new TierbedError('invalid', `raw_${kind}_contents has ${raw} entries for ${tensors} ${kind}s`, {
    fix: 'give one entry a tensor, in the same order, or none at all',
  });
}

function rawTensor(dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor {
  if (dtype !== 'string') return denseTensor(dtype, shape, bytes);
  const count = elementCount(shape);
  if (count > MAX_STRINGS) throw malformed(`${count} BYTES elements, more than ${MAX_STRINGS}`);
  const data: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.byteLength) {
    if (data.length >= count) throw malformed(`more than the ${count} BYTES elements of shape [${shape.join(', ')}]`);
    if (bytes.byteLength - at < 4) throw malformed('a BYTES element without its four bytes of length');
    const length = view.getUint32(at, true);
    at += 4;
    if (length > bytes.byteLength - at) {
      throw malformed(`a BYTES element of ${length} bytes where ${bytes.byteLength - at} are left`);
    }
    data.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (data.length !== count) {
    throw malformed(`${data.length} BYTES elements where shape [${shape.join(', ')}] takes ${count}`);
  }
  return { dtype, shape, data };
}

/** Puts the tensor's name in front of what is wrong with it. */
function named<T>(kind: string, name: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TierbedError)) throw error;
    throw new TierbedError(error.kind, `${kind} ${name}: ${error.message}`, {
      cause: error,
      ...(error.fix !== undefined && { fix: error.fix }),
    });
  }
}

/** The sender's stamps are read and removed, so that nobody takes them for parameters of the model. */
function takeSenderStamp(parameters: Map<string, Parameter>): ReceivedStamp['sender'] {
  const serialiseNs = nanoseconds(parameters.get(SERIALISE_NS));
  const sentNs = nanoseconds(parameters.get(SENT_NS));
  parameters.delete(SERIALISE_NS);
  parameters.delete(SENT_NS);
  return serialiseNs === undefined || sentNs === undefined ? undefined : { serialiseNs, sentNs };
}

function nanoseconds(value: Parameter | undefined): bigint | undefined {
  return typeof value === 'bigint' && value >= 0n ? value : undefined;
}
