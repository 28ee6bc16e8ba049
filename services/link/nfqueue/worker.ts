// The thread that shapes: sleeps in ppoll until a packet comes, one is due, or the driver asks for something.
import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../base/errors.js';
import { EINTR, loadLibc } from '../libc.js';
import { becomeUrgent } from '../urgent.js';
import type { NfqueueAnswer, NfqueueCalls, NfqueueRequest, NfqueueStart } from './protocol.js';
import { ShapedQueue } from './queue.js';
import { Receiver } from './receiver.js';

const PR_SET_TIMERSLACK = 29;
const CLOCK_REALTIME = 0;
const POLLIN = 1;
const POLLFD_BYTES = 8;

/**
 * While packets come and go, the thread looks at most so often: several are then worked off at once. What comes is timed by
 * the kernel, so this makes nothing wrong but the last step, by up to as much.
 */
const LEAST_GAP_MS = 0.2;
/** However quiet it is: a process that ends waits for this thread. */
const LONGEST_SLEEP_MS = 200;
/** A packet that came longer ago than this did not: the host's clock was set. */
const OLDEST_MS = 1000;

const port = parentPort;
if (!port) throw new Error('the packet shaper runs in a thread of its own');
const { wakeFd } = workerData as NfqueueStart;
const libc = await loadLibc();
becomeUrgent();
// The kernel rounds a thread's timers up by 50 microseconds unless told otherwise.
libc.prctl(PR_SET_TIMERSLACK, 1);

const queues = new Map<number, ShapedQueue>();
const receiver = new Receiver(libc);
const memory = libc.allocate(32);
const wakeCount = Buffer.alloc(8);
/** Rebuilt when queues change: the driver's requests first, then the queues. */
let polled = Buffer.alloc(0);
let running = true;

const nowMs = () => performance.now();

/** Real time in microseconds, as the kernel stamps packets. */
function realUs(): number {
  libc.clock_gettime(CLOCK_REALTIME, memory.address);
  return Number(memory.bytes.readBigInt64LE(0)) * 1e6 + memory.bytes.readUInt32LE(8) / 1e3;
}

function watch(): void {
  polled = Buffer.alloc(POLLFD_BYTES * (1 + queues.size));
  for (const [i, fd] of [wakeFd, ...[...queues.values()].map((queue) => queue.task.fd)].entries()) {
    polled.writeInt32LE(fd, i * POLLFD_BYTES);
    polled.writeInt16LE(POLLIN, i * POLLFD_BYTES + 4);
  }
}

/** Sleeps until something happens at one of the first `count` descriptors, or for so long. */
function sleep(count: number, forMs: number): void {
  // Below a second: the seconds before it stay 0.
  memory.bytes.writeUInt32LE(Math.ceil(Math.max(0, Math.min(forMs, LONGEST_SLEEP_MS)) * 1e6), 24);
  if (libc.ppoll(polled, count, memory.address + 16n, 0n) >= 0) return;
  const errno = libc.errno();
  if (errno !== EINTR) throw new Error(`ppoll failed: ${libc.errorName(errno)}`);
  // The kernel did not say which: look at all next time.
  polled.writeInt16LE(0, 6);
}

function queueOf(number: number): ShapedQueue {
  const found = queues.get(number);
  if (!found) throw new Error(`the packet queue ${number} is not there`);
  return found;
}

const calls: { [M in keyof NfqueueCalls]: (...args: Parameters<NfqueueCalls[M]>) => ReturnType<NfqueueCalls[M]> } = {
  add(task) {
    queues.set(task.queue, new ShapedQueue(libc, task, nowMs()));
    watch();
  },
  set(queue, settings, blocked) {
    queueOf(queue).set(settings, nowMs(), blocked);
  },
  stats: (queue) => queueOf(queue).stats(nowMs()),
  remove(queue) {
    queues.delete(queue);
    watch();
  },
  end() {
    running = false;
  },
};

function answer({ id, method, args }: NfqueueRequest): NfqueueAnswer {
  try {
    return { id, ok: true, result: (calls[method] as (...args: readonly unknown[]) => unknown)(...args) };
  } catch (error) {
    return { id, ok: false, message: messageOf(error) };
  }
}

function serve(): void {
  if ((polled.readInt16LE(6) & POLLIN) === 0) return;
  readSync(wakeFd, wakeCount);
  for (let next = receiveMessageOnPort(port as NonNullable<typeof port>); next; ) {
    port?.postMessage(answer(next.message as NfqueueRequest));
    next = receiveMessageOnPort(port as NonNullable<typeof port>);
  }
}

/** Reads what came. Gives how many packets that were. */
function receive(): number {
  let count = 0;
  let [readMs, readUs] = [0, 0];
  for (const queue of queues.values()) {
    receiver.read(queue.task.fd, (packet) => {
      if (count++ === 0) [readMs, readUs] = [nowMs(), realUs()];
      const agoMs = packet.atUs > 0 ? (readUs - packet.atUs) / 1000 : 0;
      queue.offer(packet, agoMs > 0 && agoMs < OLDEST_MS ? readMs - agoMs : readMs);
    });
  }
  return count;
}

watch();
let busyMs = Number.NEGATIVE_INFINITY;
while (running) {
  let nextMs = Number.POSITIVE_INFINITY;
  for (const queue of queues.values()) nextMs = Math.min(nextMs, queue.nextMs);
  const restMs = busyMs + LEAST_GAP_MS - nowMs();
  if (restMs > 0) sleep(1, restMs);
  else sleep(1 + queues.size, nextMs - nowMs());
  serve();
  if (receive() > 0 || nextMs <= nowMs()) busyMs = nowMs();
  for (const queue of queues.values()) queue.release(nowMs());
}
receiver.free();
memory.free();
