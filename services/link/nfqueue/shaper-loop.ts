import { performance } from 'node:perf_hooks';
import { EINTR, type Libc, type NativeMemory } from '../system/libc.js';
import type { QueuedPacket } from './netlink.js';
import type { ShapedQueue } from './queue.js';
import { Receiver } from './receiver.js';

const CLOCK_REALTIME = 0;
const POLLIN = 1;
const POLLFD_BYTES = 8;

/**
 * While packets come or go one right after the other, the thread looks at most so often: several are then worked off at
 * once, which costs half as much. What comes is timed by the kernel, so this makes nothing wrong but the last step, by up
 * to as much.
 */
const LEAST_GAP_MS = 0.4;
/** What waking up adds to a gap. */
const WAKE_MS = 0.15;
/**
 * Where packets are on their way, those that come go behind them, so there is no hurry to read them: if the last look found
 * some, the thread sleeps through what comes until the next one is due, or so long. Ten times as many messages have room.
 */
const LONGEST_DEAF_MS = 2;
/** However quiet it is: a process that ends waits for this thread. */
const LONGEST_SLEEP_MS = 200;
/** A packet that came longer ago than this, or so much in the future, did not: the host's clock was set. */
const OLDEST_MS = 1000;
/** Two clocks read one after the other are compared only if nothing came between. */
const SAME_TIME_MS = 0.02;
const COMPARISONS = 5;

/** Where in the loop's own memory the two times lie that system calls read and write: `struct timespec`. */
const READ_AT = 0;
const TIMEOUT_AT = 16;
const MEMORY_BYTES = 32;

/** What the queues and their settings take their time from. */
export const nowMs = (): number => performance.now();

/**
 * The shaping thread's work: sleeps until a packet comes, one is due or somebody rings, and does what is to be done, until
 * it is stopped. It never returns to the event loop, whose timers know whole milliseconds only.
 */
export class ShaperLoop {
  readonly #libc: Libc;
  readonly #wakeFd: number;
  readonly #onWake: () => void;
  readonly #receiver: Receiver;
  readonly #memory: NativeMemory;
  #queues: readonly ShapedQueue[] = [];
  /** `struct pollfd` for the bell, then for each queue. */
  #polled = Buffer.alloc(POLLFD_BYTES);
  #running = true;
  /** What to add to the kernel's times to have this thread's. */
  #offsetMs = 0;
  #received = 0;
  /** Whether the kernel says when packets came: if not, each has to be read when it comes. */
  #stamped = false;

  /** @param wakeFd becomes readable when `onWake` is to be called, which empties it */
  constructor(libc: Libc, wakeFd: number, onWake: () => void) {
    this.#libc = libc;
    this.#wakeFd = wakeFd;
    this.#onWake = onWake;
    this.#receiver = new Receiver(libc);
    this.#memory = libc.allocate(MEMORY_BYTES);
    this.watch([]);
  }

  /** The queues to work for from now on. */
  watch(queues: readonly ShapedQueue[]): void {
    this.#queues = queues;
    this.#polled = Buffer.alloc(POLLFD_BYTES * (1 + queues.length));
    for (const [i, fd] of [this.#wakeFd, ...queues.map((queue) => queue.task.fd)].entries()) {
      this.#polled.writeInt32LE(fd, i * POLLFD_BYTES);
      this.#polled.writeInt16LE(POLLIN, i * POLLFD_BYTES + 4);
    }
  }

  stop(): void {
    this.#running = false;
  }

  /** @throws Error when the kernel refuses something */
  run(): void {
    let busyMs = Number.NEGATIVE_INFINITY;
    let restUntilMs = Number.NEGATIVE_INFINITY;
    let received = 0;
    while (this.#running) {
      const nextMs = this.#nextMs();
      this.#sleep(nextMs, restUntilMs, received > 0 && this.#stamped);
      const rung = (this.#polled.readInt16LE(6) & POLLIN) !== 0;
      received = this.#receive();
      // After what came before: it goes by the settings that held when it came.
      if (rung) this.#onWake();
      const atMs = nowMs();
      if (received > 0 || nextMs <= atMs) {
        if (atMs - busyMs < LEAST_GAP_MS + WAKE_MS) restUntilMs = atMs + LEAST_GAP_MS;
        busyMs = atMs;
      }
      for (const queue of this.#queues) queue.release(atMs);
    }
    this.#receiver.free();
    this.#memory.free();
  }

  #nextMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues) nextMs = Math.min(nextMs, queue.nextMs);
    return nextMs;
  }

  /** Sleeps until the bell rings, a packet is due, or one comes that has to be read; not before `restUntilMs` but for the bell. */
  #sleep(nextMs: number, restUntilMs: number, deaf: boolean): void {
    const atMs = nowMs();
    const dueMs = deaf ? Math.min(nextMs, atMs + LONGEST_DEAF_MS) : nextMs;
    if (restUntilMs <= atMs) {
      for (const [i, queue] of this.#queues.entries()) {
        // The kernel passes over a negative number.
        const fd = deaf && queue.nextMs < Number.POSITIVE_INFINITY ? -1 : queue.task.fd;
        this.#polled.writeInt32LE(fd, (i + 1) * POLLFD_BYTES);
      }
      this.#poll(1 + this.#queues.length, dueMs - atMs);
    } else {
      const allDeaf = deaf && this.#queues.every((queue) => queue.nextMs < Number.POSITIVE_INFINITY);
      this.#poll(1, (allDeaf ? Math.max(dueMs, restUntilMs) : restUntilMs) - atMs);
    }
  }

  /** Waits for one of the first `count` descriptors, for so long at most. */
  #poll(count: number, forMs: number): void {
    const { bytes, address } = this.#memory;
    // Below a second: the seconds before it stay 0.
    bytes.writeUInt32LE(Math.ceil(Math.max(0, Math.min(forMs, LONGEST_SLEEP_MS)) * 1e6), TIMEOUT_AT + 8);
    if (this.#libc.ppoll(this.#polled, count, address + BigInt(TIMEOUT_AT), 0n) >= 0) return;
    const errno = this.#libc.errno();
    if (errno !== EINTR) throw new Error(`ppoll failed: ${this.#libc.errorName(errno)}`);
    this.#polled.writeInt16LE(0, 6);
  }

  /** Reads what came. Gives how many packets that were. */
  #receive(): number {
    this.#received = 0;
    for (const queue of this.#queues) this.#receiver.read(queue.task.fd, (packet) => this.#take(queue, packet));
    return this.#received;
  }

  #take(queue: ShapedQueue, packet: QueuedPacket): void {
    if (this.#received++ === 0) this.#offsetMs = this.#compareClocks();
    const lookedMs = nowMs();
    const cameMs = packet.atUs / 1000 + this.#offsetMs;
    this.#stamped = packet.atUs > 0 && Math.abs(lookedMs - cameMs) < OLDEST_MS;
    queue.offer(packet, this.#stamped ? Math.min(cameMs, lookedMs) : lookedMs);
  }

  /** How far this thread's clock is from the host's real time, by which the kernel stamps packets. */
  #compareClocks(): number {
    let [closestMs, offsetMs] = [Number.POSITIVE_INFINITY, 0];
    for (let i = 0; i < COMPARISONS && closestMs > SAME_TIME_MS; i++) {
      const beforeMs = nowMs();
      const realMs = this.#realMs();
      const tookMs = nowMs() - beforeMs;
      if (tookMs < closestMs) [closestMs, offsetMs] = [tookMs, beforeMs + tookMs / 2 - realMs];
    }
    return offsetMs;
  }

  #realMs(): number {
    const { bytes, address } = this.#memory;
    this.#libc.clock_gettime(CLOCK_REALTIME, address + BigInt(READ_AT));
    // The upper half of the seconds stays 0 until 2106.
    return bytes.readUInt32LE(READ_AT) * 1e3 + bytes.readUInt32LE(READ_AT + 8) / 1e6;
  }
}
