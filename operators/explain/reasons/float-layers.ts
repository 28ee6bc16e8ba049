import { countOf, type FindReason, formatMs, formatShare, named, sumMs } from './reason.js';

/** Layers that a quantised model still multiplies in float. */
export const floatLayers: FindReason = ({ variant }) => {
  if (!variant.work.some(({ precision }) => precision !== 'float')) return undefined;
  const layers = variant.work.filter(({ precision, macs }) => precision === 'float' && macs > 0);
  if (layers.length === 0) return undefined;
  const ms = sumMs(layers);
  return {
    reason: 'float-layers',
    ms,
    says: `Float still multiplies in ${countOf(layers.length, 'layer')}: ${formatMs(ms)}, ${formatShare(ms / variant.profile.nodesMs)} of the nodes' time.`,
    nodes: named(layers),
  };
};
