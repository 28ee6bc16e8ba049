import { type FindReason, formatMs, named, sumMs } from './reason.js';

/** int8 kernels gain little where the processor multiplies and adds 8-bit integers in several steps. */
export const instructions: FindReason = ({ variant, cpu }) => {
  const int8 = variant.work.filter(({ precision, macs }) => precision === 'int8' && macs > 0);
  if (int8.length === 0 || cpu.dotProducts === undefined || cpu.dotProducts.length > 0) return undefined;
  const ms = sumMs(int8);
  const wanted = cpu.arch === 'arm64' ? 'dot-product or i8mm' : 'VNNI or AMX';
  return {
    reason: 'instructions',
    ms,
    says: `This processor (${cpu.name || cpu.arch}) has no ${wanted} instructions, so int8 products take as many steps as float ones: ${formatMs(ms)} in int8 kernels.`,
    nodes: named(int8),
  };
};
