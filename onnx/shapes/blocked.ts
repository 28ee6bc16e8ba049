import type { Rule, Rules } from './context.js';
import { convolutionRules } from './convolution.js';

const same: Rule = (c) => [{ dtype: c.dtype(0), shape: c.shape(0) }];

const statistics: Rule = (c) => {
  const channels = { dtype: c.dtype(0), shape: c.shape(0)?.slice(1, 2) };
  return [channels, channels];
};

/** Operators on pictures in the blocked layout (onnx/grad/blocked/domain.ts): shaped as their namesakes. */
export const blockedRules: Rules = {
  'tierbed.blocked:Block': same,
  'tierbed.blocked:Unblock': same,
  'tierbed.blocked:Clip': same,
  'tierbed.blocked:BatchNormalization': same,
  'tierbed.blocked:Statistics': statistics,
  'tierbed.blocked:Conv': convolutionRules.Conv as Rule,
  'tierbed.blocked:GlobalAveragePool': convolutionRules.GlobalAveragePool as Rule,
};
