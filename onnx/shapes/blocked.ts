import type { Dim } from '../model.js';
import type { Rule, Rules } from './context.js';
import { convolutionRules } from './convolution.js';

const same: Rule = (c) => [{ dtype: c.dtype(0), shape: c.shape(0) }];

const statistics: Rule = (c) => {
  const channels = { dtype: c.dtype(0), shape: c.shape(0)?.slice(1, 2) };
  return [channels, channels];
};

/** Channels are filled up to whole blocks of 8 or 16, as the processor has it. */
const toBlocks: Rule = (c) => {
  const fills = (dim: Dim | undefined): Dim => (typeof dim === 'number' && dim % 16 === 0 ? dim : undefined);
  return [{ dtype: c.dtype(0), shape: c.shape(0)?.map((dim, axis) => (axis === 1 ? fills(dim) : dim)) }];
};

const fromBlocks: Rule = (c) => {
  const [n, , h, w] = c.shape(0) ?? [];
  const channels = c.int('channels');
  return [{ dtype: c.dtype(0), shape: c.int('channels_last', 0) === 1 ? [n, h, w, channels] : [n, channels, h, w] }];
};

/**
 * Operators on pictures in the blocked layout: those of training graphs while they are made (onnx/grad/blocked/domain.ts),
 * shaped as their namesakes, and ONNX Runtime's own.
 */
export const blockedRules: Rules = {
  'tierbed.blocked:Block': same,
  'tierbed.blocked:Unblock': same,
  'tierbed.blocked:Clip': same,
  'tierbed.blocked:BatchNormalization': same,
  'tierbed.blocked:Statistics': statistics,
  'tierbed.blocked:Conv': convolutionRules.Conv as Rule,
  'tierbed.blocked:GlobalAveragePool': convolutionRules.GlobalAveragePool as Rule,
  'com.microsoft.nchwc:Conv': convolutionRules.Conv as Rule,
  'com.microsoft.nchwc:GlobalAveragePool': convolutionRules.GlobalAveragePool as Rule,
  'com.microsoft.nchwc:ReorderInput': toBlocks,
  'com.microsoft.nchwc:ReorderOutput': fromBlocks,
};
