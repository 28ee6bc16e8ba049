import { type ByteCount, PARTS, type SampleRow } from './columns.js';

/** What reading clocks may be off by, in ms. */
export const CLOCK_ERROR_MS = 0.05;

/** A way over links that a message took. */
export interface Crossing {
  /** `hop1Up`...: the columns `...Ms` and `...Bytes` of the row. */
  readonly hop: ByteCount;
  readonly bytes: number;
  readonly placement: string;
  /** Unix ms. */
  readonly fromUnixMs: number;
  readonly toUnixMs: number;
}

/** Something that cannot be: of which sample, what, and how far it is from what can. */
export interface Impossible {
  readonly sample: number;
  /** The part: `hop1Up`... */
  readonly part: string;
  /** Times in ms. */
  readonly leastMs: number;
  readonly measuredMs: number;
}

/**
 * Holds a sample against physics: no message crosses links faster than its bytes over the rate plus the delay, and no part
 * takes less than no time.
 *
 * A hop is measured from before the first byte of the message is handed to the transport (its time stands in the message
 * itself) until the receiver has all of it: no buffer on the way can hide a part of the transfer.
 *
 * @param leastMs the least that a crossing can take, at any time in its interval
 * @param toleranceMs what of it may be missing
 */
export function impossibleParts(
  row: SampleRow,
  leastMs: (crossing: Crossing) => number,
  toleranceMs: number = CLOCK_ERROR_MS,
): Impossible[] {
  if (row.status !== 'ok') return [];
  const found: Impossible[] = [];
  const fromUnixMs = row.startedAtUnixMs as number;
  const toUnixMs = fromUnixMs + (row.endToEndMs as number);
  for (const part of PARTS) {
    const measuredMs = row[`${part}Ms`] as number;
    const bytes = row[`${part}Bytes`];
    const crossed = typeof bytes === 'number' && bytes > 0;
    const least = crossed
      ? leastMs({ hop: part as ByteCount, bytes, placement: String(row.placement), fromUnixMs, toUnixMs })
      : 0;
    const allowed = crossed ? toleranceMs : CLOCK_ERROR_MS;
    if (measuredMs < least - allowed) {
      found.push({ sample: row.sample as number, part, leastMs: rounded(least), measuredMs });
    }
  }
  return found;
}

/** Whether a row's parts are its whole, to the nanosecond. */
export function addsUp(row: SampleRow): boolean {
  if (row.status !== 'ok') return true;
  const sumNs = PARTS.reduce((sum, part) => sum + toNs(row[`${part}Ms`]), 0);
  return sumNs === toNs(row.endToEndMs);
}

function toNs(ms: SampleRow[string] | undefined): number {
  return typeof ms === 'number' ? Math.round(ms * 1e6) : Number.NaN;
}

/** To whole ns. */
function rounded(ms: number): number {
  return Math.round(ms * 1e6) / 1e6;
}
