// The thread that shapes: does what the driver asks for between packets.
import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../base/errors.js';
import { type Libc, loadLibc } from '../system/libc.js';
import { becomeUrgent } from '../system/urgent.js';
import type { NfqueueAnswer, NfqueueCalls, NfqueueRequest, NfqueueStart } from './protocol.js';
import { ShapedQueue } from './queue.js';
import { nowMs, ShaperLoop } from './shaper-loop.js';

const PR_SET_TIMERSLACK = 29;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x40000000;

if (!parentPort) throw new Error('the packet shaper runs in a thread of its own');
const port = parentPort;
const { wakeFd } = workerData as NfqueueStart;
const libc = await loadLibc();
beFirst(libc);
// The kernel rounds a thread's timers up by 50 microseconds unless told otherwise.
libc.prctl(PR_SET_TIMERSLACK, 1);

const queues = new Map<number, ShapedQueue>();
const wakeCount = Buffer.alloc(8);
const loop = new ShaperLoop(libc, wakeFd, () => {
  readSync(wakeFd, wakeCount);
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    port.postMessage(answer(next.message as NfqueueRequest));
  }
});

const calls: { [M in keyof NfqueueCalls]: (...args: Parameters<NfqueueCalls[M]>) => ReturnType<NfqueueCalls[M]> } = {
  add(task) {
    queues.set(task.queue, new ShapedQueue(libc, task, nowMs()));
    loop.watch([...queues.values()]);
  },
  set(queue, settings, blocked) {
    queueOf(queue).set(settings, nowMs(), blocked);
  },
  stats: (queue) => queueOf(queue).stats(nowMs()),
  remove(queue) {
    queues.delete(queue);
    loop.watch([...queues.values()]);
  },
  end: () => loop.stop(),
};

/**
 * Asks for this thread to run as soon as it is due, as a network card would. On two cores with eight busy threads it is the
 * difference between 3 ms late at worst and 76. Niceness counts among the threads of a container or a session alone. The
 * thread sleeps between any two looks, and the kernel keeps a share of the processor from all like it.
 */
function beFirst({ sched_setscheduler }: Libc): void {
  const lowest = Buffer.from([1, 0, 0, 0]);
  // Needs CAP_SYS_NICE; without it, niceness may still be allowed.
  if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, lowest) !== 0) becomeUrgent();
}

function queueOf(number: number): ShapedQueue {
  const found = queues.get(number);
  if (!found) throw new Error(`the packet queue ${number} is not there`);
  return found;
}

function answer({ id, method, args }: NfqueueRequest): NfqueueAnswer {
  try {
    return { id, ok: true, result: (calls[method] as (...args: readonly unknown[]) => unknown)(...args) };
  } catch (error) {
    return { id, ok: false, message: messageOf(error) };
  }
}

loop.run();
