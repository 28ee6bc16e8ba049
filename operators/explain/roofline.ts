import type { Findings } from './examined.js';
import type { NodeWork } from './node-work.js';

/** What a node's work would take at this machine's best: the roofline model (Williams, Waterman and Patterson, CACM 2009). */
export interface Roofline {
  /** Its multiply-accumulates, at the rate of the fastest layer measured. */
  computeMs(node: NodeWork): number;
  /** Its bytes, at the rate of a copy. */
  memoryMs(node: NodeWork): number;
  /** Multiply-accumulates a byte that keep the machine computing: with fewer, it waits for bytes. */
  readonly balance: number;
}

/** The profile counts whole microseconds: shorter nodes tell nothing of the best rate. */
const LONG_ENOUGH_MS = 0.01;

/** @returns undefined when no layer tells how fast the machine multiplies */
export function roofline({ variant, original, copiedPerMs }: Findings): Roofline | undefined {
  const measured = [...variant.work, ...(original?.work ?? [])].filter(({ ms }) => ms >= LONG_ENOUGH_MS);
  const best = Math.max(0, ...measured.map(({ macs, ms }) => macs / ms));
  if (best === 0) return undefined;
  return {
    computeMs: ({ macs }) => macs / best,
    memoryMs: ({ bytes }) => bytes / copiedPerMs,
    balance: best / copiedPerMs,
  };
}
