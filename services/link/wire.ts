/**
 * What a TCP segment on Ethernet takes on the wire beside its payload: 14 bytes of Ethernet, 20 of IPv4 (RFC 791) and 32 of
 * TCP with the timestamp option (RFC 9293, RFC 7323). Preamble, checksum and gap are not counted, as `tc` does not.
 */
export const HEADER_BYTES = 66;

/** Payload of a full segment at the Ethernet MTU of 1500 bytes. */
export const SEGMENT_BYTES = 1448;

/** The largest packet on the wire. */
export const PACKET_BYTES = SEGMENT_BYTES + HEADER_BYTES;

/** Bytes on the wire for a payload cut into full segments; a signal without payload is one bare packet. */
export function wireBytes(payloadBytes: number): number {
  return payloadBytes + HEADER_BYTES * Math.max(1, Math.ceil(payloadBytes / SEGMENT_BYTES));
}

/** Milliseconds that a payload takes to leave a link of this rate; 0 where the rate is not limited. */
export function serialisationMs(payloadBytes: number, rateMbps: number | undefined): number {
  return rateMbps ? (wireBytes(payloadBytes) * 8) / (rateMbps * 1000) : 0;
}

/**
 * When packets are through links in series, delays left out, that entered the first one at these times: each leaves a link
 * once it is complete and the one before it has left. Milliseconds.
 *
 * @param ratesMbps one a link, in order; 0 or undefined where the rate is not limited
 */
export function passedMs(
  enteredMs: readonly number[],
  packetBytes: number,
  ratesMbps: readonly (number | undefined)[],
): number[] {
  const leftMs = ratesMbps.map(() => Number.NEGATIVE_INFINITY);
  return enteredMs.map((ms) => {
    let readyMs = ms;
    for (const [link, rateMbps] of ratesMbps.entries()) {
      const tookMs = rateMbps ? (packetBytes * 8) / (rateMbps * 1000) : 0;
      readyMs = Math.max(readyMs, leftMs[link] as number) + tookMs;
      leftMs[link] = readyMs;
    }
    return readyMs;
  });
}

/**
 * The least time that a payload takes over links in series, delays left out: each packet leaves a link once it is complete
 * and the one before it has left. Milliseconds.
 *
 * @param ratesMbps one a link, in order; 0 or undefined where the rate is not limited
 */
export function transferMs(payloadBytes: number, ratesMbps: readonly (number | undefined)[]): number {
  const leftMs = ratesMbps.map(() => 0);
  for (let sent = 0; sent < payloadBytes; sent += SEGMENT_BYTES) {
    let readyMs = 0;
    for (const [link, rateMbps] of ratesMbps.entries()) {
      const startMs = Math.max(readyMs, leftMs[link] as number);
      readyMs = startMs + serialisationMs(Math.min(SEGMENT_BYTES, payloadBytes - sent), rateMbps);
      leftMs[link] = readyMs;
    }
  }
  return leftMs.at(-1) ?? 0;
}
