import { FRAME_HEADER_BYTES } from './gather.js';

/**
 * Puts gRPC's length-prefixed messages together (grpc/doc/PROTOCOL-HTTP2.md), each in one buffer that is allocated when
 * its length is known and filled as the parts come in: a message is there in one piece the moment its last byte is, and
 * what it came in can be freed on the way.
 *
 * It has the shape of grpc-js's own StreamDecoder, which keeps all parts and joins them at the end.
 */
export class FrameDecoder {
  readonly #maxMessageBytes: number;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #frame: Buffer | undefined;
  #filled = 0;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /**
   * Takes what came in and gives the frames (header and message) that it completes.
   *
   * @throws Error when a message is announced that is over the limit
   */
  write(data: Uint8Array): Buffer[] {
    const frames: Buffer[] = [];
    let at = 0;
    while (at < data.length) {
      if (!this.#frame) {
        const take = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, data.length - at);
        this.#header.set(data.subarray(at, at + take), this.#headerBytes);
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < FRAME_HEADER_BYTES) break;
        this.#frame = this.#allocate(this.#header.readUInt32BE(1));
      }
      const take = Math.min(this.#frame.length - this.#filled, data.length - at);
      this.#frame.set(take === data.length ? data : data.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled < this.#frame.length) break;
      frames.push(this.#frame);
      this.#frame = undefined;
      this.#headerBytes = 0;
    }
    return frames;
  }

  #allocate(bytes: number): Buffer {
    if (bytes > this.#maxMessageBytes) {
      throw new Error(`Received message larger than max (${bytes} vs ${this.#maxMessageBytes})`);
    }
    const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bytes);
    frame.set(this.#header);
    this.#filled = FRAME_HEADER_BYTES;
    return frame;
  }
}
