import type { Examined } from '../examined.js';
import { countOf, type FindReason, formatMs, formatShare, named, sumMs } from './reason.js';

/** Below this share of the nodes' time nobody needs to be told. */
const LEAST_SHARE = 0.1;
/** Nodes that are shorter tell nothing of the processor's best rate: the profile counts whole microseconds. */
const LONG_ENOUGH_MS = 0.02;

/**
 * Layers that wait for memory, by the roofline model (Williams, Waterman and Patterson, CACM 2009): those whose
 * multiply-accumulates for each byte moved are fewer than the processor does in the time that a byte takes. Its best rate
 * is that of the fastest layer measured; that of bytes is a copy's.
 */
export const memoryBound: FindReason = ({ variant, original, copiedPerMs }) => {
  const bestRate = Math.max(...[variant, ...(original ? [original] : [])].map(fastest));
  if (bestRate <= 0) return undefined;
  const balance = bestRate / copiedPerMs;
  const bound = variant.work.filter(({ macs, bytes }) => bytes > 0 && macs / bytes < balance);
  const ms = sumMs(bound);
  const share = ms / variant.profile.nodesMs;
  if (!(share >= LEAST_SHARE)) return undefined;
  const multiplying = bound.filter(({ macs }) => macs > 0);
  return {
    reason: 'memory-bound',
    ms,
    says:
      `${countOf(bound.length, 'node')} (${formatMs(ms)}, ${formatShare(share)}) move bytes more than they multiply: fewer than ` +
      `${balance.toFixed(1)} multiply-accumulates a byte, which this machine needs to be busy; ` +
      `${formatMs(sumMs(multiplying))} of it in layers with weights. Faster arithmetic does not help them.`,
    nodes: named(bound, ({ macs, bytes }) => `${(macs / bytes).toFixed(1)} MACs a byte`),
  };
};

/** Multiply-accumulates a millisecond of the layer that does most. */
function fastest({ work }: Examined): number {
  return Math.max(0, ...work.filter(({ ms }) => ms >= LONG_ENOUGH_MS).map(({ macs, ms }) => macs / ms));
}
