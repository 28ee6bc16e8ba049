import type { Socket } from 'node:net';
import { nowMs } from '../clock.js';

/** Six numbers: bytes of this frame, bytes of the answer wanted, and four times and counts. */
export const HEADER_BYTES = 48;

/** What one end says to the other. Times are of the host's monotonic clock, which both ends share. */
export interface Frame {
  /** Of the whole frame, this header included. */
  readonly bytes: number;
  /** Bytes of the answer that is asked for; 0 in an answer. */
  readonly answerBytes: number;
  readonly sentMs: number;
  /** What the answering end saw of the frame that it answers; 0 in a question. */
  readonly seen: Arrival;
}

/** How a frame came in: when it was complete, and when half of it was there: a rate without its start is told from there. */
export interface Arrival {
  readonly completeMs: number;
  readonly markMs: number;
  readonly markBytes: number;
}

const FILLER = Buffer.alloc(256 * 1024);

/** Writes a frame, stamped with the time at which it is handed over, and gives that time. */
export function writeFrame(socket: Socket, frame: Omit<Frame, 'sentMs'>): number {
  const header = Buffer.alloc(HEADER_BYTES);
  const { seen } = frame;
  const sentMs = nowMs();
  const values = [frame.bytes, frame.answerBytes, sentMs, seen.completeMs, seen.markMs, seen.markBytes];
  for (const [i, value] of values.entries()) header.writeDoubleLE(value, i * 8);
  socket.cork();
  socket.write(header);
  for (let left = frame.bytes - HEADER_BYTES; left > 0; left -= FILLER.length) {
    socket.write(left < FILLER.length ? FILLER.subarray(0, left) : FILLER);
  }
  socket.uncork();
  return sentMs;
}

/** Takes a stream apart into frames; a frame's content is counted and dropped. */
export class FrameReader {
  readonly #onFrame: (frame: Frame, arrival: Arrival) => void;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #received = 0;
  #total = 0;
  #mark: { ms: number; bytes: number } | undefined;

  constructor(onFrame: (frame: Frame, arrival: Arrival) => void) {
    this.#onFrame = onFrame;
  }

  push(data: Buffer): void {
    const atMs = nowMs();
    for (let at = 0; at < data.length; ) {
      if (this.#received < HEADER_BYTES) {
        const copied = data.copy(this.#header, this.#received, at);
        this.#received += copied;
        at += copied;
        if (this.#received < HEADER_BYTES) return;
        this.#total = this.#header.readDoubleLE(0);
      }
      const taken = Math.min(data.length - at, this.#total - this.#received);
      this.#received += taken;
      at += taken;
      if (!this.#mark && this.#received * 2 >= this.#total) this.#mark = { ms: atMs, bytes: this.#received };
      if (this.#received === this.#total) this.#complete(atMs);
    }
  }

  #complete(atMs: number): void {
    const [bytes, answerBytes, sentMs, completeMs, markMs, markBytes] = Array.from({ length: 6 }, (_, i) =>
      this.#header.readDoubleLE(i * 8),
    ) as [number, number, number, number, number, number];
    const mark = this.#mark ?? { ms: atMs, bytes };
    this.#received = 0;
    this.#mark = undefined;
    this.#onFrame(
      { bytes, answerBytes, sentMs, seen: { completeMs, markMs, markBytes } },
      { completeMs: atMs, markMs: mark.ms, markBytes: mark.bytes },
    );
  }
}
