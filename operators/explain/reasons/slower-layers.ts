import { layerPairs } from '../pairs.js';
import { countOf, type FindReason, formatMs, named, sumMs } from './reason.js';

/** The profile counts whole microseconds. */
const LEAST_MS = 0.002;

/** Layers that take longer in the variant than in the original: its kernels for them are the slower ones. */
export const slowerLayers: FindReason = ({ variant, original }) => {
  if (!original) return undefined;
  const slower = layerPairs(original, variant)
    .map((pair) => ({ ...pair, lostMs: pair.variant.ms - pair.original.ms }))
    .filter(({ lostMs }) => lostMs > LEAST_MS);
  const ms = slower.reduce((total, { lostMs }) => total + lostMs, 0);
  if (slower.length === 0) return undefined;
  const notes = new Map(
    slower.map(({ original: before, variant: { name }, lostMs }) => [
      name,
      `${formatMs(lostMs)} longer than ${before.kernel}`,
    ]),
  );
  const [worst] = named(slower.map(({ variant: { name, kernel }, lostMs }) => ({ name, kernel, ms: lostMs })));
  return {
    reason: 'slower-layers',
    ms,
    says: `In ${countOf(slower.length, 'layer')} the kernel is slower than the original's, by ${formatMs(ms)} in all (${formatMs(sumMs(slower.map(({ original: before }) => before)))} there); the most is lost in ${worst?.name} (${worst?.kernel}).`,
    nodes: named(
      slower.map((pair) => pair.variant),
      ({ name }) => notes.get(name),
    ),
  };
};
