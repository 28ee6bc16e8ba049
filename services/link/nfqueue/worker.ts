// The thread that shapes: does what the driver asks for between packets.
import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../base/errors.js';
import { loadLibc } from '../libc.js';
import { becomeUrgent } from '../urgent.js';
import type { NfqueueAnswer, NfqueueCalls, NfqueueRequest, NfqueueStart } from './protocol.js';
import { ShapedQueue } from './queue.js';
import { nowMs, ShaperLoop } from './shaper-loop.js';

const PR_SET_TIMERSLACK = 29;

if (!parentPort) throw new Error('the packet shaper runs in a thread of its own');
const port = parentPort;
const { wakeFd } = workerData as NfqueueStart;
const libc = await loadLibc();
becomeUrgent();
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
