import type { Node } from '../model.js';
import { isOnnxDomain } from '../passes/walk.js';
import { add } from './add.js';
import { matMul } from './mat-mul.js';
import { dequantizeLinear, quantizeLinear } from './quantize.js';
import { relu } from './relu.js';
import { round } from './round.js';
import type { GradRule } from './rule.js';

/** The gradient rules there are: a new one is a file here and an entry below. */
export const RULES: readonly GradRule[] = [add, dequantizeLinear, matMul, quantizeLinear, relu, round];

const BY_TYPE: ReadonlyMap<string, GradRule> = new Map(
  RULES.flatMap((rule) => rule.opTypes.map((type) => [`${rule.domain ?? ''}:${type}`, rule] as const)),
);

/** The rule for a node; undefined when there is none. */
export function gradRule(node: Node): GradRule | undefined {
  return BY_TYPE.get(`${isOnnxDomain(node.domain) ? '' : node.domain}:${node.opType}`);
}
