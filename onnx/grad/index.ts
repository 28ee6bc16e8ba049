import type { Node } from '../model.js';
import { isOnnxDomain } from '../passes/walk.js';
import { add, mean, sub } from './add.js';
import { averagePool } from './average-pool.js';
import { batchNormalization } from './batch-normalization.js';
import { blockedConvolution } from './blocked/convolution.js';
import { blockedClip, blockedPool, fromBlocks, toBlocks } from './blocked/layout.js';
import { blockedNormalisation } from './blocked/normalisation.js';
import { clip } from './clip.js';
import { conv } from './conv.js';
import { convTranspose } from './conv-transpose.js';
import { depthToSpace, spaceToDepth } from './depth-space.js';
import { einsum } from './einsum.js';
import { gather, gatherElements } from './gather.js';
import { gelu, microsoftGelu } from './gelu.js';
import { gemm } from './gemm.js';
import { globalAveragePool, globalMaxPool } from './global-pool.js';
import { groupNormalization, instanceNormalization } from './group-normalization.js';
import { negativeLogLikelihoodLoss, softmaxCrossEntropyLoss } from './label-loss.js';
import { layerNormalization } from './layer-normalization.js';
import { matMul } from './mat-mul.js';
import { maxPool } from './max-pool.js';
import { minMax } from './min-max.js';
import { div, mul } from './mul.js';
import { pad } from './pad.js';
import { concat, split } from './parts.js';
import { dropout, passThrough, steps } from './pass-through.js';
import { pow } from './pow.js';
import { prelu } from './prelu.js';
import { dequantizeLinear, qLinearBinary, quantizeLinear } from './quantize.js';
import { reduce } from './reduce.js';
import { relu } from './relu.js';
import { expand, tile } from './repeat.js';
import { resize } from './resize.js';
import type { GradRule } from './rule.js';
import { slice } from './slice.js';
import { logSoftmax, softmax } from './softmax.js';
import { unary } from './unary.js';
import { reshape, transpose } from './views.js';
import { where } from './where.js';

/** The gradient rules there are: a new one is a file here and an entry below. */
export const RULES: readonly GradRule[] = [
  add,
  averagePool,
  batchNormalization,
  blockedClip,
  blockedConvolution,
  blockedNormalisation,
  blockedPool,
  clip,
  concat,
  conv,
  convTranspose,
  depthToSpace,
  dequantizeLinear,
  div,
  dropout,
  einsum,
  expand,
  fromBlocks,
  gather,
  gatherElements,
  gelu,
  gemm,
  globalAveragePool,
  globalMaxPool,
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  logSoftmax,
  matMul,
  maxPool,
  mean,
  microsoftGelu,
  minMax,
  mul,
  negativeLogLikelihoodLoss,
  pad,
  passThrough,
  pow,
  prelu,
  qLinearBinary,
  quantizeLinear,
  reduce,
  relu,
  reshape,
  resize,
  slice,
  softmax,
  softmaxCrossEntropyLoss,
  spaceToDepth,
  split,
  steps,
  sub,
  tile,
  toBlocks,
  transpose,
  unary,
  where,
];

const BY_TYPE: ReadonlyMap<string, GradRule> = new Map(
  RULES.flatMap((rule) => rule.opTypes.map((type) => [`${rule.domain ?? ''}:${type}`, rule] as const)),
);

/** The rule for a node; undefined when there is none. */
export function gradRule(node: Node): GradRule | undefined {
  return BY_TYPE.get(`${isOnnxDomain(node.domain) ? '' : node.domain}:${node.opType}`);
}
