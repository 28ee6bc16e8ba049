import { type FindReason, formatMs, formatShare } from './reason.js';

const LEAST_SHARE = 0.15;
/** The profile cuts every node's time to whole microseconds: so much of each is lost in the mean. */
const LOST_MS = 0.0005;

/** Time that a run takes outside its nodes: the call, handing tensors in and out, going from node to node. */
export const overhead: FindReason = ({ variant }) => {
  // Of the same minutes as the nodes' times: other runs were disturbed by other things.
  const { nodes, busyMs, runMs } = variant.profile;
  const ms = runMs - busyMs - LOST_MS * nodes.length;
  const share = ms / runMs;
  if (!(share >= LEAST_SHARE)) return undefined;
  return {
    reason: 'overhead',
    ms,
    says: `${formatMs(ms)} of a run (${formatShare(share)}) pass outside its ${nodes.length} nodes, in the runtime and on the way there and back: no kernel makes that shorter.`,
    nodes: [],
  };
};
