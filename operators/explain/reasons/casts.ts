import type { NodeWork } from '../node-work.js';
import { countOf, type FindReason, formatMs, named, sumMs } from './reason.js';

/** Casts between float16 and float32, which the runtime puts around operators that it has no float16 kernel for. */
export const casts: FindReason = ({ variant }) => {
  const found = variant.work.filter(isHalfCast);
  if (found.length === 0) return undefined;
  const ms = sumMs(found);
  return {
    reason: 'casts',
    ms,
    says: `Casts between float16 and float32 take ${countOf(found.length, 'node')} and ${formatMs(ms)}, as the runtime has no float16 kernels on this processor for what lies between. float16 makes the file smaller, not the run faster.`,
    nodes: named(found),
  };
};

function isHalfCast({ kernel, reads, writes }: NodeWork): boolean {
  return kernel === 'Cast' && [reads[0]?.type, writes[0]?.type].sort().join() === 'float,float16';
}
