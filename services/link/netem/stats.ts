import type { InterfaceStats } from '../interface-driver.js';
import { HANDLE } from './commands.js';
import type { QdiscReport } from './tc.js';

/** Counters of the two queueing disciplines, as they go on from whatever was there before. */
export interface ChainCounts {
  readonly packets: number;
  readonly bytes: number;
  readonly lost: number;
  readonly dropped: number;
  readonly waitingBytes: number;
}

/** Finds the chain's counters, or undefined where it is not (any more). */
export function chainCounts(
  onInterface: readonly QdiscReport[],
  onQueue: readonly QdiscReport[],
): ChainCounts | undefined {
  const netem = ours(onInterface, 'netem');
  const tbf = ours(onQueue, 'tbf');
  if (!netem || !tbf) return undefined;
  return {
    packets: netem.packets,
    bytes: netem.bytes,
    lost: netem.drops,
    dropped: tbf.drops,
    waitingBytes: tbf.backlog,
  };
}

/** What was counted since `begun`. */
export function since(begun: ChainCounts, now: ChainCounts): InterfaceStats {
  return {
    packets: now.packets - begun.packets,
    bytes: now.bytes - begun.bytes,
    lostPackets: now.lost - begun.lost,
    droppedPackets: now.dropped - begun.dropped,
    queuedBytes: now.waitingBytes,
  };
}

function ours(reports: readonly QdiscReport[], kind: string): QdiscReport | undefined {
  return reports.find((report) => report.root === true && report.kind === kind && report.handle === HANDLE);
}
