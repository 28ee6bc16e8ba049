import { createRequire } from 'node:module';

/** Bytes that gRPC puts before each message: a flag and the length. */
export const FRAME_HEADER_BYTES = 5;

/** Gets a message's bytes where they were copied to, and when copying began. */
export type OnCopied = (message: Uint8Array, startedNs: bigint) => void;

/**
 * A message in parts that lie where they are: its head, its tensors, its tail.
 *
 * grpc-js asks a serialised message for its length and copies it, once, behind the header of the frame that it allocates.
 * This does that copy from the parts, so that a tensor is copied exactly once on its way to the socket.
 */
export class Gather {
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
  readonly #onCopied: OnCopied | undefined;

  constructor(parts: readonly Uint8Array[], onCopied?: OnCopied) {
    this.parts = parts;
    this.byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
    this.#onCopied = onCopied;
  }

  get length(): number {
    return this.byteLength;
  }

  /** Writes the message into `target` from `targetStart` on, as `Buffer.copy` does; returns the bytes written. */
  copy(target: Uint8Array, targetStart = 0): number {
    const started = process.hrtime.bigint();
    let at = targetStart;
    for (const part of this.parts) {
      target.set(part, at);
      at += part.byteLength;
    }
    this.#onCopied?.(target.subarray(targetStart, at), started);
    return at - targetStart;
  }

  /** The same message behind `head`, for a message that holds this one as its last field. */
  within(head: Uint8Array): Gather {
    const onCopied = this.#onCopied;
    return new Gather(
      [head, ...this.parts],
      onCopied && ((message, started) => onCopied(message.subarray(head.byteLength), started)),
    );
  }
}

/**
 * The versions of grpc-js whose framing was seen to need `length`, `byteLength` and `copy` alone, on both sides.
 * With any other version messages are put together beforehand: one copy more, and nothing else to go wrong.
 */
const GATHERING_VERSIONS = /^1\.14\./;

const { version: grpcVersion } = createRequire(import.meta.url)('@grpc/grpc-js/package.json') as { version: string };

/** Whether this grpc-js takes messages in parts. */
export const gathers: boolean = GATHERING_VERSIONS.test(grpcVersion);

/** What grpc-js is given for a message. */
export function toGrpc(message: Gather | Buffer, inParts: boolean = gathers): Buffer {
  if (Buffer.isBuffer(message)) return message;
  if (inParts) return message as unknown as Buffer;
  const whole = Buffer.allocUnsafe(message.byteLength);
  message.copy(whole);
  return whole;
}
