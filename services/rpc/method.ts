import { TierbedError } from '../../base/errors.js';
import { type Gather, toGrpc } from './gather.js';
import { DEFAULT_MAX_MESSAGE_BYTES } from './limits.js';

/** How a message becomes bytes, whole or in parts, and comes back. Both throw TierbedError `invalid`. */
export interface MessageCodec<T> {
  encode(message: T): Gather | Buffer;
  decode(bytes: Buffer): T;
}

/** One call: its path, and the messages that go and come. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly request: MessageCodec<Request>;
  readonly response: MessageCodec<Response>;
}

/** What a request's handler knows of its call besides the request. */
export interface CallContext {
  /** Aborts when the client goes away or cancels, or when the deadline passes; its reason is a TierbedError. */
  readonly signal: AbortSignal;
  /** Unix time in ms, undefined when the client set none. Pass both to the next hop. */
  readonly deadlineMs: number | undefined;
}

export type Handler<Request, Response> = (request: Request, context: CallContext) => Promise<Response>;

/** The handlers of a table of methods. */
export type HandlersOf<Methods> = {
  readonly [Name in keyof Methods]: Methods[Name] extends Method<infer Request, infer Response>
    ? Handler<Request, Response>
    : never;
};

/** A message that was read, or why it could not be: grpc-js has no status for what a deserialiser throws. */
export type Decoded<T> = { readonly message: T } | { readonly error: unknown };

/** A deserialiser that does not throw. */
export function decoder<T>(codec: MessageCodec<T>): (bytes: Buffer) => Decoded<T> {
  return (bytes) => {
    try {
      return { message: codec.decode(bytes) };
    } catch (error) {
      return { error };
    }
  };
}

/** @throws whatever decoding threw */
export function decoded<T>(result: Decoded<T>): T {
  if ('error' in result) throw result.error;
  return result.message;
}

/**
 * Encodes a message.
 *
 * @throws TierbedError `exhausted` when it is longer than `maxMessageBytes`, before anything of it is copied
 */
export function encodeWithin<T>(
  codec: MessageCodec<T>,
  message: T,
  maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES,
): Gather | Buffer {
  const encoded = codec.encode(message);
  if (encoded.byteLength > maxMessageBytes) throw overLimit(encoded.byteLength, maxMessageBytes);
  return encoded;
}

/** The same, as grpc-js's server takes it. */
export function encodeForServer<T>(codec: MessageCodec<T>, message: T, maxMessageBytes: number): Buffer {
  return toGrpc(encodeWithin(codec, message, maxMessageBytes));
}

/** The error of a message over the limit. */
export function overLimit(bytes: number, maxMessageBytes: number): TierbedError {
  return new TierbedError('exhausted', `a message of ${bytes} bytes is over the limit of ${maxMessageBytes} bytes`, {
    fix: 'send smaller tensors, or raise maxMessageBytes on both sides',
  });
}

/** A serialiser for messages that are bytes already. */
export function identity(bytes: Buffer): Buffer {
  return bytes;
}
