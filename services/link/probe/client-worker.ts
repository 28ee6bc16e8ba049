// The near end of a probe: does one exercise over a connection of its own and reports each exchange.
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../../base/errors.js';
import { becomeUrgent } from '../system/urgent.js';
import { exercise } from './exercise.js';
import type { Exercise, ExerciseResult } from './probe.js';

becomeUrgent();
parentPort?.on('message', async (task: Exercise) => {
  let result: ExerciseResult;
  try {
    result = { exchanges: await exercise(task) };
  } catch (error) {
    result = { error: messageOf(error) };
  }
  parentPort?.postMessage(result);
});
