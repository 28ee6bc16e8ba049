import { PACKET_BYTES } from './wire.js';

/**
 * From where to where a setting of a direction may be, both included. What lies beyond is far beyond any link on Earth: it is
 * a wrong unit.
 */
export const BOUNDS = {
  rateMbps: { low: 0, high: 100_000 },
  delayMs: { low: 0, high: 10_000 },
  jitterMs: { low: 0, high: 10_000 },
  lossPct: { low: 0, high: 100 },
  lossBurstPackets: { low: 1, high: 1_000_000 },
  /** A queue that cannot hold one packet lets none through. */
  queueBytes: { low: PACKET_BYTES, high: 1024 ** 3 },
} as const;

/** Slower than this a link that is limited carries nothing in the time that anybody waits. */
export const MIN_RATE_MBPS = 0.001;
