import type { Node } from '../../../onnx/model.js';
import { isOnnxDomain } from '../../../onnx/passes/walk.js';
import type { PruneRule, PruneRules } from '../rule.js';
import { convolutionRules } from './convolution.js';
import { elementwiseRules } from './elementwise.js';
import { joiningRules } from './joining.js';
import { layoutRules } from './layout.js';
import { matrixRules } from './matrix.js';
import { normalizationRules } from './normalization.js';
import { poolingRules } from './pooling.js';

/** How labels pass nodes, by type; what uses a type that is not here keeps its size. */
const RULES: PruneRules = {
  ...convolutionRules,
  ...matrixRules,
  ...elementwiseRules,
  ...normalizationRules,
  ...poolingRules,
  ...layoutRules,
  ...joiningRules,
};

export function pruneRule({ domain, opType }: Pick<Node, 'domain' | 'opType'>): PruneRule | undefined {
  return isOnnxDomain(domain) && Object.hasOwn(RULES, opType) ? RULES[opType] : undefined;
}
