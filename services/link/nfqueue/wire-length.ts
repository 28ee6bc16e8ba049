import type { DirectionSettings } from '../types.js';

/** Ethernet's header, that IP's length leaves out. */
const ETHERNET_BYTES = 14;
/** IPv4 and TCP with timestamps: what each segment of a super-packet has of its own. */
const SEGMENT_HEADER_BYTES = 52;

/** From this rate on a super-packet of 64 KiB passes in half a millisecond. */
const SUPER_PACKET_RATE_MBPS = 1000;

/** The packets that a super-packet of TCP is on the wire. */
export function segmentsOf(ipBytes: number, mtuBytes: number): number {
  return Math.max(1, Math.ceil((ipBytes - SEGMENT_HEADER_BYTES) / (mtuBytes - SEGMENT_HEADER_BYTES)));
}

/** Bytes on the wire of that many segments that came as one IP packet. */
export function wireBytesOf(ipBytes: number, segments: number): number {
  return ipBytes + (segments - 1) * SEGMENT_HEADER_BYTES + segments * ETHERNET_BYTES;
}

/**
 * Whether super-packets may pass whole: nothing that these settings do tells one from its segments. Where they would be
 * lost together, jittered together or complete noticeably later than their parts, the kernel cuts them up first.
 */
export function superPacketsPass({ rateMbps, jitterMs, lossPct, trace }: DirectionSettings): boolean {
  const fast = (rate: number | undefined) => !rate || rate >= SUPER_PACKET_RATE_MBPS;
  if (!fast(rateMbps) || jitterMs > 0 || lossPct) return false;
  if (trace?.kind === 'deliveries') return false;
  return (trace?.steps ?? []).every((step) => fast(step.rateMbps) && !step.jitterMs && !step.lossPct);
}
