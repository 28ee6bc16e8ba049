// The thread behind an Alarm: sleeps until the deadline in the shared cell, then says so.
import { parentPort, workerData } from 'node:worker_threads';
import { nowMs } from '../clock.js';
import { becomeUrgent } from '../system/urgent.js';
import { ENDED, IDLE } from './alarm.js';

becomeUrgent();
const cell = workerData as BigInt64Array;
for (;;) {
  const deadline = Atomics.load(cell, 0);
  if (deadline === ENDED) break;
  const leftMs = deadline === IDLE ? Number.POSITIVE_INFINITY : Number(deadline - process.hrtime.bigint()) / 1e6;
  if (leftMs > 0 && Atomics.wait(cell, 0, deadline, leftMs) !== 'timed-out') continue;
  if (Atomics.compareExchange(cell, 0, deadline, IDLE) === deadline) parentPort?.postMessage(nowMs());
}
