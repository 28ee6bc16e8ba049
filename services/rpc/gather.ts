import { createRequire } from 'node:module';

/** Bytes that gRPC puts before each message: a flag and the length. */
export const FRAME_HEADER_BYTES = 5;

/** Called when a message leaves: gets the part that holds its end, to write into. */
export type OnLeave = (end: Uint8Array, bytes: number) => void;

/**
 * A message in parts that lie where they are: its head, its tensors, its tail.
 *
 * Tierbed's client writes the parts to the HTTP/2 stream as they are. grpc-js's server asks a serialised message for its
 * length and copies it, once, behind the header of the frame that it allocates: `copy` does that from the parts.
 */
export class Gather {
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
  readonly #onLeave: OnLeave | undefined;

  constructor(parts: readonly Uint8Array[], onLeave?: OnLeave) {
    this.parts = parts;
    this.byteLength = parts.reduce((sum, part) => sum + part.byteLength, 0);
    this.#onLeave = onLeave;
  }

  get length(): number {
    return this.byteLength;
  }

  /** The parts, to be sent now. They must stay as they are until they were sent. */
  take(): readonly Uint8Array[] {
    this.#onLeave?.(this.parts.at(-1) ?? Buffer.alloc(0), this.byteLength);
    return this.parts;
  }

  /** Writes the message into `target` from `targetStart` on, as `Buffer.copy` does; returns the bytes written. */
  copy(target: Uint8Array, targetStart = 0): number {
    let at = targetStart;
    for (const part of this.parts) {
      target.set(part, at);
      at += part.byteLength;
    }
    this.#onLeave?.(target.subarray(targetStart, at), this.byteLength);
    return at - targetStart;
  }

  /** The same message in other parts. */
  withParts(parts: readonly Uint8Array[]): Gather {
    return new Gather(parts, this.#onLeave);
  }

  /** The same message behind `head`, for a message that holds this one as its last field. */
  within(head: Uint8Array): Gather {
    return new Gather([head, ...this.parts], this.#onLeave);
  }
}

/**
 * The versions of grpc-js whose framing was seen to need `byteLength` and `copy` alone.
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
