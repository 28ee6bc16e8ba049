import type { TrainPlugin } from '../train/types.js';
import type { PruneMethod } from './method.js';
import { decides, type PruneSchedule, pruneSteps, sparsityAt } from './schedule.js';

/**
 * Prunes while a model is trained: more and more goes as the schedule has it, and what has gone stays zero.
 *
 * @param identity what the method follows from, for checkpoints
 */
export function prunePlugin(
  method: PruneMethod,
  schedule: PruneSchedule,
  target: number,
  identity: string,
): TrainPlugin {
  return {
    name: 'prune',
    identity,
    state: method.state,
    settled: (step, steps) => step > pruneSteps(schedule, steps).last,
    beforeUpdate: ({ weights, gradients }) => method.observe(weights, gradients),
    afterUpdate({ step, steps, weights }) {
      const plan = pruneSteps(schedule, steps);
      if (decides(plan, step)) method.advance(sparsityAt(plan, step, target), weights);
      method.zero(weights);
    },
  };
}
