import type { Workload } from '../../workloads/types.js';
import { type CrossEntropyOptions, crossEntropy, TARGETS } from '../train/cross-entropy.js';
import { scoresOf } from '../train/scores.js';
import type { Objective } from '../train/types.js';

/**
 * Cross-entropy of the model's own scores and of each exit's, added up: what is before an exit learns for it and for all
 * behind it.
 *
 * @param exits outputs that have the scores of exits
 */
export function exitsObjective(workload: Workload, exits: readonly string[], options: CrossEntropyOptions): Objective {
  const own = crossEntropy(workload, options);
  return {
    ...own,
    name: 'cross-entropy of the model and its exits',
    identity: JSON.stringify([own.identity, exits]),
    loss(at) {
      const { builder: g, batch } = at;
      return exits.reduce((total, exit) => {
        const { value } = scoresOf(at, exit);
        const each = g.node('Mul', [TARGETS, g.node('LogSoftmax', [value], { axis: -1 })]);
        const sum = g.node('ReduceSum', [each], { keepdims: 0 });
        return g.node('Add', [total, g.node('Mul', [sum, g.float32(-1 / batch)])]);
      }, own.loss(at));
    },
  };
}
