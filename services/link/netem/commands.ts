import { TierbedError } from '../../../base/errors.js';
import type { DirectionSettings } from '../types.js';
import { jitterTable } from './jitter-table.js';
import { chainSizes } from './rates.js';

/** The handle of Tierbed's queueing disciplines, and the place of its filter, by which a later process knows them. */
export const HANDLE = '7b:';
export const FILTER_PREFERENCE = 31_415;

/** netem keeps the factor of a distribution in 31 bits of nanoseconds. */
const MAX_SPREAD_MS = 2147;

/** The name under which `tc` finds the table of the jitter's distribution. */
export const TABLE_NAME = 'tierbed';

/** An interface and the helper device that its packets wait on. */
export interface Devices {
  readonly interfaceName: string;
  /** An `ifb` device. */
  readonly queueName: string;
  /** The largest packet, link header included. */
  readonly packetBytes: number;
}

/** What `tc` is to do, a line each, and the distribution's table that the lines name. */
export interface TcBatch {
  readonly lines: readonly string[];
  readonly table: readonly number[] | undefined;
}

/**
 * The lines that put settings in force: TBF on the helper device holds the queue, netem on the interface gives each packet
 * its time. Both are changed in place where they are there already.
 *
 * @throws TierbedError `invalid` for a jitter that netem cannot do
 */
export function shapeBatch(devices: Devices, settings: DirectionSettings, blocked: boolean): TcBatch {
  const { interfaceName, queueName, packetBytes } = devices;
  const { delayMs, jitterMs, jitterDistribution = 'normal' } = settings;
  const spread = jitterMs > 0 ? jitterTable(jitterDistribution, delayMs / jitterMs) : undefined;
  const spreadMs = spread ? jitterMs * spread.factor : 0;
  if (spreadMs > MAX_SPREAD_MS) {
    const most = Math.floor(MAX_SPREAD_MS / (spread?.factor ?? 1));
    throw new TierbedError(
      'invalid',
      `jitterMs is ${jitterMs}: netem can do ${most} ms of ${jitterDistribution} jitter`,
      {
        fix: `Give jitterMs up to ${most}, or use the driver nfqueue.`,
      },
    );
  }
  const sizes = chainSizes(settings.rateMbps, settings.queueBytes, delayMs + 4 * spreadMs, packetBytes);
  const netem = [
    `limit ${sizes.limitPackets}`,
    `rate ${sizes.bitsPerSecond}bit`,
    delayWords(delayMs, spreadMs),
    lossWords(settings, blocked),
  ].filter((words) => words !== '');
  return {
    lines: [
      `qdisc replace dev ${interfaceName} root handle ${HANDLE} netem ${netem.join(' ')}`,
      `qdisc replace dev ${queueName} root handle ${HANDLE} tbf rate ${sizes.bitsPerSecond}bit burst ${sizes.burstBytes} limit ${sizes.limitBytes}`,
    ],
    table: spread?.table,
  };
}

/** The lines that lead what leaves by the interface over the helper device first. */
export function redirectLines({ interfaceName, queueName }: Pick<Devices, 'interfaceName' | 'queueName'>): string[] {
  return [
    `qdisc replace dev ${interfaceName} clsact`,
    `filter add dev ${interfaceName} egress protocol all pref ${FILTER_PREFERENCE} handle 1 matchall action mirred egress redirect dev ${queueName}`,
  ];
}

export function removeFilterLine({ interfaceName }: Pick<Devices, 'interfaceName'>): string {
  return `filter del dev ${interfaceName} egress pref ${FILTER_PREFERENCE}`;
}

function delayWords(delayMs: number, spreadMs: number): string {
  const jitter = spreadMs > 0 ? ` ${microseconds(spreadMs)} distribution ${TABLE_NAME}` : '';
  return delayMs > 0 || jitter ? `delay ${microseconds(delayMs)}${jitter}` : '';
}

/**
 * Losses, each by itself or in runs: netem's Gilbert model loses all packets of its bad state, which begins with chance p
 * and ends with chance r after each packet. So runs are 1/r packets long in the mean, and p/(p + r) of all are lost.
 */
function lossWords({ lossPct = 0, lossBurstPackets }: DirectionSettings, blocked: boolean): string {
  if (blocked || lossPct >= 100) return 'loss 100%';
  if (lossPct <= 0) return '';
  if (lossBurstPackets === undefined) return `loss ${percent(lossPct / 100)}`;
  // Between two runs there is one packet at least, so a large share of losses needs runs of some length.
  const share = lossPct / 100;
  const leave = 1 / Math.max(lossBurstPackets, 1, share / (1 - share));
  return `loss gemodel ${percent((leave * share) / (1 - share))} ${percent(leave)}`;
}

const microseconds = (ms: number): string => `${Number((ms * 1000).toFixed(3))}us`;
const percent = (share: number): string => `${Number((Math.min(1, share) * 100).toFixed(7))}%`;
