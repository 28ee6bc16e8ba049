/** What may be on its way where the rate is not limited: 5 Gbit/s at 100 ms. */
const UNLIMITED_BYTES = 64 * 1024 * 1024;

/** The rate that stands for none: with it netem still keeps packets in order, and a full one takes 0.12 microseconds. */
const UNLIMITED_MBPS = 100_000;

/** How late the kernel may wake the limiter without the link losing capacity: what it lets through ahead, in time. */
const LATE_MS = 2;

/** The smallest packet on Ethernet, as `tc` counts: 14 bytes of header and 46 of content. */
const SMALLEST_PACKET_BYTES = 60;

/** Packets that netem may hold for nothing that is computed here, e.g. because it is late. */
const SPARE_PACKETS = 1000;

/** What the two queueing disciplines are told about rate and room. */
export interface ChainSizes {
  readonly bitsPerSecond: number;
  /** TBF's bucket: what may enter netem before its time, one packet and `LATE_MS` of the rate. */
  readonly burstBytes: number;
  /** Bytes that may wait in TBF; with the bucket's it is the queue. */
  readonly limitBytes: number;
  /** Packets that may be in netem: more than can be on their way at this rate and delay. */
  readonly limitPackets: number;
}

/** What a rate, a queue and the longest delay lead to. @param packetBytes the largest packet of the interface */
export function chainSizes(
  rateMbps: number | undefined,
  queueBytes: number,
  longestDelayMs: number,
  packetBytes: number,
): ChainSizes {
  const rate = rateMbps || UNLIMITED_MBPS;
  const queue = rateMbps ? queueBytes : UNLIMITED_BYTES;
  const bytesPerMs = rate * 125;
  const burstBytes = Math.round(packetBytes + Math.min(bytesPerMs * LATE_MS, queue / 2));
  const onTheirWay = rateMbps ? bytesPerMs * longestDelayMs : UNLIMITED_BYTES;
  return {
    bitsPerSecond: Math.round(rate * 1e6),
    burstBytes,
    limitBytes: Math.round(Math.max(packetBytes, queue - burstBytes)),
    limitPackets: Math.ceil((onTheirWay + burstBytes) / SMALLEST_PACKET_BYTES) + SPARE_PACKETS,
  };
}
