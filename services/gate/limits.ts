import type { FlatValue } from './flat-json.js';

/** Limits of a container in the Engine API's names and units: microseconds and bytes. */
export interface ContainerLimits {
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly Memory?: number;
  readonly MemorySwap?: number;
}

/** What the machine has. */
export interface Capacity {
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** The kernel's bounds for a CFS period and the least quota, in microseconds. */
const PERIOD_US = { least: 1_000, most: 1_000_000 } as const;
/** The engine's own least. */
const LEAST_MEMORY_BYTES = 6 * 2 ** 20;

/** The limits that a body asks for, or why they are refused. */
export function parseLimits(
  body: ReadonlyMap<string, FlatValue> | undefined,
  host: Capacity,
): ContainerLimits | string {
  if (!body || body.size === 0) return 'the body is not a flat JSON object of limits';
  const ranges: Readonly<Record<keyof ContainerLimits, readonly [least: number, most: number]>> = {
    CpuPeriod: [PERIOD_US.least, PERIOD_US.most],
    CpuQuota: [PERIOD_US.least, PERIOD_US.most * host.cpus],
    Memory: [LEAST_MEMORY_BYTES, host.memoryBytes],
    // Swap is counted with the memory.
    MemorySwap: [LEAST_MEMORY_BYTES, 2 * host.memoryBytes],
  };
  const limits: { -readonly [K in keyof ContainerLimits]: number } = {};
  for (const [key, value] of body) {
    if (!Object.hasOwn(ranges, key)) return `${key} is not a limit that may be set`;
    const name = key as keyof ContainerLimits;
    const [least, most] = ranges[name];
    if (typeof value !== 'number' || value < least || value > most) return `${key} must be within ${least} and ${most}`;
    limits[name] = value;
  }
  return limits;
}
