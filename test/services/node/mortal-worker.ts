// The node's inference thread, that dies of a request whose first string is "die".
import { parentPort } from 'node:worker_threads';
import '../../../services/node/worker.js';
import type { CallMessage, RunJob } from '../../../services/node/worker-messages.js';

parentPort?.on('message', ({ call, argument }: CallMessage) => {
  if (call !== 'run') return;
  const tensor = (argument as RunJob).inputs[0]?.tensor;
  if (tensor?.dtype === 'string' && Buffer.from(tensor.data[0] ?? []).toString() === 'die') {
    throw new Error('it had to die');
  }
});
