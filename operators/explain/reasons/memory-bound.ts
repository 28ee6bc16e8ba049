import { roofline } from '../roofline.js';
import { countOf, type FindReason, formatMs, formatShare, named, sumMs } from './reason.js';

/** Below this share of the nodes' time nobody needs to be told. */
const LEAST_SHARE = 0.1;
/** Of a node's time, what moving its bytes must explain at least. */
const EXPLAINED = 0.25;

/** Nodes that wait for memory: moving their bytes takes longer than multiplying them, and much of the time they take. */
export const memoryBound: FindReason = (findings) => {
  const { work, profile } = findings.variant;
  const roof = roofline(findings);
  if (!roof) return undefined;
  const bound = work.filter((node) => {
    const memoryMs = roof.memoryMs(node);
    return memoryMs > roof.computeMs(node) && memoryMs >= EXPLAINED * node.ms;
  });
  const ms = sumMs(bound);
  const share = ms / profile.nodesMs;
  if (!(share >= LEAST_SHARE)) return undefined;
  const moved = bound.reduce((total, node) => total + roof.memoryMs(node), 0);
  return {
    reason: 'memory-bound',
    ms,
    says:
      `Bytes, not products, decide ${countOf(bound.length, 'node')} (${formatMs(ms)}, ${formatShare(share)}): fewer than ` +
      `${roof.balance.toFixed(1)} multiply-accumulates a byte, which this machine needs to be busy; a copy of their bytes ` +
      `takes ${formatMs(moved)}. Faster arithmetic does not help them.`,
    nodes: named(bound, ({ macs, bytes }) => `${(macs / bytes).toFixed(1)} MACs a byte`),
  };
};
