import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { nowMs } from '../clock.js';
import { type Arrival, DATAGRAM_HEADER_BYTES, type EchoTask, type Exchange } from './link-probe.js';
import { growReceiveBuffer } from './receive-buffer.js';

/** Where datagrams go. */
export interface PacketTarget {
  readonly host: string;
  readonly port: number;
}

export interface PacketRun extends EchoTask {
  /** Tells this run's datagrams from any other's. */
  readonly run: number;
}

/** What a datagram is for, in its first byte. */
const ONE_WAY = 1;
const ASKED = 2;
const ANSWERED = 3;

/** Datagrams kept of one run: far more than any measurement sends. */
const MAX_ARRIVALS = 200_000;
/** Sent in a row before others get a turn. */
const MAX_BURST = 64;

/** One end of a measurement with datagrams: sends, sends back, and keeps what came. */
export class PacketEnd {
  readonly port: number;
  readonly #socket: Socket;
  #run = 0;
  #arrivals: Arrival[] = [];
  #answers: Exchange[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (data, from) => this.#take(data, from));
    socket.on('error', () => {});
  }

  static async open(host: string): Promise<PacketEnd> {
    const socket = createSocket('udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    await growReceiveBuffer(socket);
    return new PacketEnd(socket);
  }

  /** Sends datagrams one way, and waits until the last one should be there. */
  async send(target: PacketTarget, run: PacketRun): Promise<void> {
    await this.#sendAll(target, run, ONE_WAY);
  }

  /** Sends datagrams that the far end sends back at once; gives those that came back. */
  async echo(target: PacketTarget, run: PacketRun): Promise<readonly Exchange[]> {
    this.#begin(run.run);
    await this.#sendAll(target, run, ASKED, () => this.#answers.length === run.count);
    return this.#answers;
  }

  /** What came of a run that the far end sent. */
  collect(run: number): readonly Arrival[] {
    return this.#run === run ? this.#arrivals : [];
  }

  close(): void {
    this.#socket.close();
  }

  #begin(run: number): void {
    this.#run = run;
    this.#arrivals = [];
    this.#answers = [];
  }

  async #sendAll(
    { host, port }: PacketTarget,
    { run, wireBytes, count, intervalMs, settleMs, maxBurst }: PacketRun,
    kind: number,
    done: () => boolean = () => false,
  ): Promise<void> {
    let startMs = nowMs();
    for (let sequence = 0; sequence < count; ) {
      const late = Math.floor((nowMs() - startMs) / intervalMs) + 1 - sequence;
      if (maxBurst > 0 && late > maxBurst) startMs += (late - maxBurst) * intervalMs;
      const due = Math.min(count, sequence + Math.min(late, maxBurst || MAX_BURST));
      for (; sequence < due; sequence++) {
        const data = Buffer.alloc(wireBytes - DATAGRAM_HEADER_BYTES);
        data.writeUInt8(kind, 0);
        data.writeUInt32LE(run, 4);
        data.writeUInt32LE(sequence, 8);
        data.writeDoubleLE(nowMs(), 16);
        this.#socket.send(data, port, host, () => {});
      }
      const aheadMs = startMs + sequence * intervalMs - nowMs();
      await (aheadMs > 1 ? wait(aheadMs) : turn());
    }
    const untilMs = nowMs() + settleMs;
    while (nowMs() < untilMs && !done()) await wait(Math.min(5, untilMs - nowMs()));
  }

  #take(data: Buffer, from: { readonly address: string; readonly port: number }): void {
    const arrivedMs = nowMs();
    if (data.length < 40) return;
    const kind = data.readUInt8(0);
    const run = data.readUInt32LE(4);
    const sentMs = data.readDoubleLE(16);
    if (kind === ASKED) {
      const answer = Buffer.from(data);
      answer.writeUInt8(ANSWERED, 0);
      answer.writeDoubleLE(arrivedMs, 24);
      answer.writeDoubleLE(nowMs(), 32);
      this.#socket.send(answer, from.port, from.address, () => {});
    } else if (kind === ANSWERED && run === this.#run) {
      const upMs = data.readDoubleLE(24) - sentMs;
      const downMs = arrivedMs - data.readDoubleLE(32);
      const none = { ms: 0, bytes: 0 };
      this.#answers.push({
        upMs,
        downMs,
        // What the far end took to answer is left out.
        roundTripMs: upMs + downMs,
        upTail: none,
        downTail: none,
      });
    } else if (kind === ONE_WAY) {
      if (run !== this.#run) this.#begin(run);
      if (this.#arrivals.length < MAX_ARRIVALS) {
        this.#arrivals.push({ sequence: data.readUInt32LE(8), sentMs, arrivedMs });
      }
    }
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
