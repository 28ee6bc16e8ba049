import type { Node } from '../model.js';
import { blockedRules } from './blocked.js';
import type { Rule, Rules } from './context.js';
import { controlRules } from './control.js';
import { convolutionRules } from './convolution.js';
import { elementwiseRules } from './elementwise.js';
import { generationRules } from './generation.js';
import { indexingRules } from './indexing.js';
import { layoutRules } from './layout.js';
import { matrixRules } from './matrix.js';
import { normalizationRules } from './normalization.js';
import { quantizationRules } from './quantization.js';
import { recurrenceRules } from './recurrence.js';
import { reductionRules } from './reduction.js';
import { resamplingRules } from './resampling.js';

const RULES: Rules = {
  ...blockedRules,
  ...controlRules,
  ...convolutionRules,
  ...elementwiseRules,
  ...generationRules,
  ...indexingRules,
  ...layoutRules,
  ...matrixRules,
  ...normalizationRules,
  ...quantizationRules,
  ...recurrenceRules,
  ...reductionRules,
  ...resamplingRules,
};

/** An operator's name as rules are listed: `Conv`, `com.microsoft:FusedConv`. */
export function operatorName(node: Node): string {
  return node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}:${node.opType}`;
}

/** The rule for a node's operator, or undefined when there is none. */
export function ruleFor(node: Node): Rule | undefined {
  const name = operatorName(node);
  return Object.hasOwn(RULES, name) ? RULES[name] : undefined;
}
