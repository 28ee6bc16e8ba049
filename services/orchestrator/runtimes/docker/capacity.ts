import { availableParallelism, cpus, totalmem } from 'node:os';
import { TIER_NAMES, type TierSet } from '../../tiers/tiers.js';
import type { TierProblem } from '../runtime.js';

/** What the machine under the containers has. */
export interface HostCapacity {
  readonly cores: number;
  readonly memoryMiB: number;
}

/** Seen from an unlimited container of it. */
export function hostCapacity(): HostCapacity {
  return { cores: Math.max(cpus().length, availableParallelism()), memoryMiB: Math.floor(totalmem() / 2 ** 20) };
}

/** The first tier that asks for more than the host has, or undefined. */
export function tierProblem(tiers: TierSet, host: HostCapacity): TierProblem | undefined {
  for (const tier of TIER_NAMES) {
    const { cpus: asked, memoryMiB } = tiers[tier];
    if (asked > host.cores) {
      return {
        tier,
        key: 'cpus',
        message: `${tier} asks for ${asked} CPUs, the host has ${host.cores}`,
        fix: fix(tiers, host),
      };
    }
    if (memoryMiB > host.memoryMiB) {
      const message = `${tier} asks for ${memoryMiB} MiB of memory, the host has ${host.memoryMiB}`;
      return { tier, key: 'memoryMiB', message, fix: fix(tiers, host) };
    }
  }
  return undefined;
}

/** What the results must say of tiers that the host cannot hold all at a time. */
export function capacityNotes(tiers: TierSet, host: HostCapacity): string[] {
  const sum = (key: 'cpus' | 'memoryMiB'): number => TIER_NAMES.reduce((total, tier) => total + tiers[tier][key], 0);
  const cores = sum('cpus');
  const memory = sum('memoryMiB');
  return [
    ...(cores > host.cores
      ? [
          `the tiers' limits come to ${cores} CPUs and the host has ${host.cores} cores: tiers that work at the same time slow each other down`,
        ]
      : []),
    ...(memory > host.memoryMiB
      ? [`the tiers' limits come to ${memory} MiB of memory and the host has ${host.memoryMiB}`]
      : []),
  ];
}

function fix(tiers: TierSet, host: HostCapacity): string {
  const most = Math.min(
    ...TIER_NAMES.map((tier) => Math.min(host.cores / tiers[tier].cpus, host.memoryMiB / tiers[tier].memoryMiB)),
  );
  const scale = roundDown(most);
  return `Scale all tiers with --scale ${scale} (the study key \`scale\` times ${scale}), set smaller ones under \`tiers\`, or use a larger machine.`;
}

/** To a power of two, which keeps the figures readable. */
function roundDown(scale: number): number {
  return 2 ** Math.floor(Math.log2(scale));
}
