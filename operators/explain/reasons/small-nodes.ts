import { roofline } from '../roofline.js';
import { countOf, type FindReason, formatMs, formatShare, named, sumMs } from './reason.js';

/** Below this share of the nodes' time nobody needs to be told. */
const LEAST_SHARE = 0.15;
/** Of a node's time, what its work may explain at most. */
const EXPLAINED = 0.1;
/** A node that takes longer is no small one, but slow. */
const SMALL_MS = 0.05;

/** Nodes with next to no work: being called, making outputs and waking threads is what they take. */
export const smallNodes: FindReason = (findings) => {
  const { work, profile } = findings.variant;
  const roof = roofline(findings);
  if (!roof) return undefined;
  const small = work.filter(
    (node) => node.ms > 0 && node.ms <= SMALL_MS && roof.computeMs(node) + roof.memoryMs(node) < EXPLAINED * node.ms,
  );
  const ms = sumMs(small);
  const share = ms / profile.nodesMs;
  if (!(share >= LEAST_SHARE)) return undefined;
  return {
    reason: 'small-nodes',
    ms,
    says:
      `Next to no work is done in ${countOf(small.length, 'node')} (${formatMs(ms)}, ${formatShare(share)}): ` +
      `what they take is being called. Fewer nodes would help, smaller numbers do not.`,
    nodes: named(small),
  };
};
