import type { Node } from '../model.js';
import { isOnnxDomain } from '../passes/walk.js';
import { add } from './add.js';
import { averagePool } from './average-pool.js';
import { batchNormalization } from './batch-normalization.js';
import { conv } from './conv.js';
import { convTranspose } from './conv-transpose.js';
import { globalAveragePool, globalMaxPool } from './global-pool.js';
import { groupNormalization, instanceNormalization } from './group-normalization.js';
import { negativeLogLikelihoodLoss, softmaxCrossEntropyLoss } from './label-loss.js';
import { layerNormalization } from './layer-normalization.js';
import { matMul } from './mat-mul.js';
import { maxPool } from './max-pool.js';
import { pad } from './pad.js';
import { relu } from './relu.js';
import { resize } from './resize.js';
import type { GradRule } from './rule.js';
import { logSoftmax, softmax } from './softmax.js';

/** The gradient rules there are: a new one is a file here and an entry below. */
export const RULES: readonly GradRule[] = [
  add,
  averagePool,
  batchNormalization,
  conv,
  convTranspose,
  globalAveragePool,
  globalMaxPool,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  logSoftmax,
  matMul,
  maxPool,
  negativeLogLikelihoodLoss,
  pad,
  relu,
  resize,
  softmax,
  softmaxCrossEntropyLoss,
];

const BY_TYPE: ReadonlyMap<string, GradRule> = new Map(
  RULES.flatMap((rule) => rule.opTypes.map((type) => [`${rule.domain ?? ''}:${type}`, rule] as const)),
);

/** The rule for a node; undefined when there is none. */
export function gradRule(node: Node): GradRule | undefined {
  return BY_TYPE.get(`${isOnnxDomain(node.domain) ? '' : node.domain}:${node.opType}`);
}
