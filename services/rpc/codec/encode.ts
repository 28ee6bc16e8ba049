import { TierbedError } from '../../../base/errors.js';
import { byteLength, type NamedTensor, type Tensor } from '../../../onnx/tensor.js';
import { readClockNs } from '../clock.js';
import { FRAME_HEADER_BYTES, Gather } from '../gather.js';
import { DATATYPE_OF } from './datatypes.js';
import {
  type InferRequest,
  type InferResponse,
  type Parameter,
  SENT_NS,
  SERIALISE_NS,
  type Sending,
} from './messages.js';
import { outgoing } from './tamper.js';
import { FIXED64, LENGTH, VARINT, varintBytes, WireWriter } from './wire.js';

/** Elements of a BYTES tensor up to this size are collected, as many small parts would cost more than their copy. */
const COLLECTED_BYTES = 1024;
/** Raw tensors start on a multiple of this in the frame: the size of the largest element. */
const ALIGNMENT = 8;
/** A varint of 63 bits, however small its number: protobuf allows leading zeros. */
const STAMP_BYTES = 9;

/**
 * The two stamps as the last fields of a message, each with its number as its last bytes. The times are known only when
 * everything else is in its place, so they are written over these.
 */
const STAMPS = Buffer.concat([stampField(SERIALISE_NS), stampField(SENT_NS)]);
const SENT_FROM_END = STAMP_BYTES;
const SERIALISE_FROM_END = STAMP_BYTES + stampField(SENT_NS).length;

/**
 * Encodes a ModelInferRequest. Tensors go into `raw_input_contents` and are not copied here.
 *
 * @throws TierbedError `invalid` for a parameter that the protocol cannot carry
 */
export function encodeInferRequest(request: InferRequest): Gather {
  const started = readClockNs();
  const message = new MessageBuilder();
  message.head(request);
  message.tensors(request.inputs);
  for (const name of request.requestedOutputs ?? []) message.small.message(6, (output) => output.string(1, name));
  message.contents(7, request.inputs);
  return outgoing(message.finish(request.sending, started));
}

/** Encodes a ModelInferResponse; see `encodeInferRequest`. */
export function encodeInferResponse(response: InferResponse): Gather {
  const started = readClockNs();
  const message = new MessageBuilder();
  message.head(response);
  message.tensors(response.outputs);
  message.contents(6, response.outputs);
  return outgoing(message.finish(response.sending, started));
}

/** Wraps an encoded ModelInferResponse into a ModelStreamInferResponse. */
export function encodeStreamResponse(response: Gather | { readonly errorMessage: string }): Gather {
  const small = new WireWriter();
  if (!(response instanceof Gather)) return new Gather([small.string(1, response.errorMessage).finish()]);
  return response.within(small.tag(2, LENGTH).varint(response.byteLength).finish());
}

/** Collects small fields and large contents into the parts of one message. */
class MessageBuilder {
  small = new WireWriter();
  readonly #parts: Uint8Array[] = [];
  #flushedBytes = 0;

  head(message: InferRequest | InferResponse): void {
    this.small.string(1, message.modelName).string(2, message.modelVersion).string(3, message.id);
    for (const [key, value] of message.parameters) {
      // Stamps are this hop's own: those of the hop before must not travel on.
      if (key !== SERIALISE_NS && key !== SENT_NS) writeParameter(this.small, key, value);
    }
  }

  /** Names, types and shapes: field 5 in requests and responses alike. */
  tensors(tensors: readonly NamedTensor[]): void {
    for (const { name, tensor } of tensors) {
      this.small.message(5, (field) => {
        field.string(1, name).string(2, DATATYPE_OF[tensor.dtype]);
        if (tensor.shape.length > 0) {
          field.message(3, (shape) => {
            for (const dimension of tensor.shape) shape.varint(checkedDimension(name, dimension));
          });
        }
      });
    }
  }

  /** The raw contents of all tensors, in order, in the repeated `field`. */
  contents(field: number, tensors: readonly NamedTensor[]): void {
    for (const { tensor } of tensors) {
      const bytes = rawBytes(tensor);
      this.#align(varintBytes(bytes) + 1);
      this.small.tag(field, LENGTH).varint(bytes);
      if (tensor.dtype !== 'string') {
        this.#append(tensor.data);
        continue;
      }
      const prefix = Buffer.allocUnsafe(4);
      for (const element of tensor.data) {
        prefix.writeUInt32LE(element.byteLength);
        this.small.raw(prefix);
        if (element.byteLength <= COLLECTED_BYTES) this.small.raw(element);
        else this.#append(element);
      }
    }
  }

  finish(sending: Sending | undefined, started: bigint): Gather {
    const stamp = sending?.stamp ?? false;
    if (stamp) this.small.raw(STAMPS);
    this.#flush();
    if (!sending || (!stamp && !sending.onSent)) return new Gather(this.#parts);
    return new Gather(this.#parts, (end, bytes) => {
      const sentNs = readClockNs();
      // Setting up the call is a part of sending: gRPC does it between the encoding and the one copy.
      const serialiseNs = sentNs - started;
      if (stamp) {
        writeStamp(end, SERIALISE_FROM_END, serialiseNs);
        writeStamp(end, SENT_FROM_END, sentNs);
      }
      sending.onSent?.({ bytes, serialiseNs, sentNs });
    });
  }

  #append(bytes: Uint8Array): void {
    this.#flush();
    this.#parts.push(bytes);
    this.#flushedBytes += bytes.byteLength;
  }

  #flush(): void {
    if (this.small.length === 0) return;
    this.#flushedBytes += this.small.length;
    this.#parts.push(this.small.finish());
    this.small = new WireWriter();
  }

  /** Pads so that what follows the next `headBytes` bytes is aligned in the frame; the shortest padding is a tag and a length. */
  #align(headBytes: number): void {
    const at = FRAME_HEADER_BYTES + this.#flushedBytes + this.small.length + headBytes;
    let padding = (ALIGNMENT - (at % ALIGNMENT)) % ALIGNMENT;
    if (padding === 0) return;
    if (padding < 2) padding += ALIGNMENT;
    this.small.bytes(15, new Uint8Array(padding - 2));
  }
}

/** Payload bytes of a tensor in raw contents, where each string is led by four bytes of length. */
function rawBytes(tensor: Tensor): number {
  return byteLength(tensor) + (tensor.dtype === 'string' ? 4 * tensor.data.length : 0);
}

/** One entry of a `map<string, InferParameter>`: field 4 in requests and responses alike. */
function writeParameter(writer: WireWriter, key: string, value: Parameter): void {
  writer.message(4, (entry) => {
    entry.string(1, key).message(2, (parameter) => writeParameterValue(parameter, key, value));
  });
}

function writeParameterValue(writer: WireWriter, key: string, value: Parameter): void {
  switch (typeof value) {
    case 'boolean':
      writer.tag(1, VARINT).varint(value ? 1 : 0);
      return;
    case 'number':
      writer.tag(4, FIXED64).double(value);
      return;
    case 'string':
      writer.bytes(3, Buffer.from(value, 'utf8'));
      return;
    case 'bigint':
      if (value >= -(2n ** 63n) && value < 2n ** 63n) writer.tag(2, VARINT).varint64(value);
      else if (value >= 0n && value < 2n ** 64n) writer.tag(5, VARINT).varint64(value);
      else throw new TierbedError('invalid', `parameter ${key} is ${value}, which does not fit in 64 bits`);
      return;
    default:
      throw new TierbedError('invalid', `parameter ${key} is a ${typeof value}`, {
        fix: 'use a boolean, a bigint, a number or a string',
      });
  }
}

function stampField(key: string): Buffer {
  const writer = new WireWriter();
  // The largest number takes as many bytes as every stamp is given.
  writeParameter(writer, key, 2n ** 63n - 1n);
  return writer.finish();
}

function writeStamp(message: Uint8Array, fromEnd: number, value: bigint): void {
  const start = message.byteLength - fromEnd;
  for (let i = 0; i < STAMP_BYTES; i++) {
    const more = i < STAMP_BYTES - 1 ? 0x80 : 0;
    message[start + i] = Number((value >> BigInt(7 * i)) & 0x7fn) | more;
  }
}

function checkedDimension(name: string, dimension: number): number {
  if (Number.isSafeInteger(dimension) && dimension >= 0) return dimension;
  throw new TierbedError('invalid', `tensor ${name} has a dimension of ${dimension}`, {
    fix: 'give every dimension as a whole number of at least 0',
  });
}
