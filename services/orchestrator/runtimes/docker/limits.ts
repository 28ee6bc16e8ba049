import { TierbedError } from '../../../../base/errors.js';
import type { TierName } from '../../tiers/tiers.js';
import type { TierLimits } from '../runtime.js';

/** How the kernel is told what share of its processors a group may use (CFS bandwidth control). */
export interface CfsBandwidth {
  readonly periodUs: number;
  /** Processor time in each period, all cores together. */
  readonly quotaUs: number;
}

/**
 * Docker's own period of 100 ms lets a short job run at full speed and then stops it for most of a tenth of a second;
 * `npm run bench:throttle` shows by how much.
 */
const PERIOD_US = 5_000;
/** The kernel takes no quota below this (Linux, kernel/sched/core.c, min_cfs_quota_period). */
const MIN_QUOTA_US = 1_000;

/** The shortest period in which so many CPUs can be counted out. */
export function cfsBandwidth(cpus: number): CfsBandwidth {
  const periodUs = Math.max(PERIOD_US, Math.ceil(MIN_QUOTA_US / cpus));
  return { periodUs, quotaUs: Math.max(MIN_QUOTA_US, Math.round(periodUs * cpus)) };
}

/** Limits as the Engine API takes them and gives them back; 0 is no limit. */
export interface HostLimits {
  readonly CpuPeriod: number;
  readonly CpuQuota: number;
  readonly Memory: number;
  /** Memory and swap together: as much as `Memory`, so that nothing is swapped out. */
  readonly MemorySwap: number;
}

const MIB = 2 ** 20;

export function hostLimits({ cpus, memoryMiB }: TierLimits): HostLimits {
  const { periodUs, quotaUs } = cfsBandwidth(cpus);
  const bytes = memoryMiB * MIB;
  return { CpuPeriod: periodUs, CpuQuota: quotaUs, Memory: bytes, MemorySwap: bytes };
}

/** What the limits of a container come to; undefined where one is missing. */
export function tierLimits(host: Partial<HostLimits>): TierLimits | undefined {
  const { CpuPeriod = 0, CpuQuota = 0, Memory = 0 } = host;
  if (CpuPeriod <= 0 || CpuQuota <= 0 || Memory <= 0) return undefined;
  return { cpus: CpuQuota / CpuPeriod, memoryMiB: Memory / MIB };
}

/** What a node sees of its own limits. */
export interface NodeView {
  readonly quota: { readonly cpus: number } | null;
  readonly memoryLimitBytes?: number | null;
}

/** Rounding of a quota to whole microseconds is no disagreement. */
const SHARE = 0.005;

/**
 * Checks that Docker says what was asked for.
 *
 * @throws TierbedError `refused` naming tier, what was set and what was read back
 */
export function assertReadBack(tier: TierName, asked: TierLimits, host: Partial<HostLimits>): void {
  const found = tierLimits(host);
  if (found && near(found.cpus, asked.cpus) && found.memoryMiB === asked.memoryMiB) return;
  throw disagreement(tier, asked, found ? show(found) : 'no limits', 'Docker reads back');
}

/**
 * Checks that the node's own control group says what was asked for: Docker only knows what it asked the kernel for.
 *
 * @throws TierbedError `refused` naming tier, what was set and what the node sees
 */
export function assertNodeSees(tier: TierName, asked: TierLimits, { quota, memoryLimitBytes }: NodeView): void {
  const memoryMiB = typeof memoryLimitBytes === 'number' ? memoryLimitBytes / MIB : undefined;
  // The kernel rounds memory to whole pages.
  const memoryFits = memoryMiB !== undefined && Math.abs(memoryMiB - asked.memoryMiB) < 1;
  if (quota && near(quota.cpus, asked.cpus) && memoryFits) return;
  const sees = `${quota ? `${quota.cpus} CPUs` : 'no CPU quota'} and ${memoryMiB === undefined ? 'no memory limit' : `${memoryMiB} MiB`}`;
  throw disagreement(tier, asked, sees, 'its node sees in its control group');
}

function disagreement(tier: TierName, asked: TierLimits, found: string, where: string): TierbedError {
  return new TierbedError('refused', `${tier} was limited to ${show(asked)}, but ${where} ${found}`, {
    fix: `Look at \`docker inspect\` of the ${tier} container and at the host's control groups: something else changes or ignores them.`,
  });
}

function near(found: number, asked: number): boolean {
  return Math.abs(found / asked - 1) <= SHARE;
}

function show({ cpus, memoryMiB }: TierLimits): string {
  return `${Number(cpus.toFixed(4))} CPUs and ${memoryMiB} MiB`;
}
