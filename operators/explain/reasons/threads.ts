import { type FindReason, formatMs } from './reason.js';

/** Of the original's gain by threads, what the variant must have to be spared. */
const ENOUGH = 0.85;

/** The variant gains less by threads than the original does, or loses by them. */
export const threads: FindReason = ({ variant, original, threads }) => {
  if (variant.oneThreadMs === undefined) return undefined;
  const gain = variant.oneThreadMs / variant.runMs;
  const other = original?.oneThreadMs === undefined ? 1 : original.oneThreadMs / original.runMs;
  const wanted = Math.max(1, ENOUGH * other);
  if (gain >= wanted) return undefined;
  const beside =
    original?.oneThreadMs === undefined
      ? ''
      : `; the original takes ${formatMs(original.oneThreadMs)} and ${formatMs(original.runMs)}`;
  const waited = variant.work.reduce((total, { waitMs }) => total + waitMs, 0);
  return {
    reason: 'threads',
    // What the same gain as the original's would have saved.
    ms: variant.runMs - variant.oneThreadMs / Math.max(1, other),
    says:
      `One thread takes ${formatMs(variant.oneThreadMs)}, ${threads} take ${formatMs(variant.runMs)}${beside}: ` +
      `too little work in a node to share out, or processors that are busy with something else ` +
      `(${formatMs(waited)} of a run is waiting for other threads).`,
    nodes: [],
  };
};
