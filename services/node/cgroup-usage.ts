import { join } from 'node:path';
import { parseCpuMax, parseSelfCgroup, type ReadText, readText, upwards, V1_CPU_ROOTS, V2_ROOTS } from './cgroup.js';

/** CPU time of a control group, and how often and how long its quota held it back. */
export interface CpuUsage {
  readonly usedSeconds: number;
  /** CFS periods in which the group wanted to run. */
  readonly periods: number;
  /** Of which: those in which its quota was used up. */
  readonly throttledPeriods: number;
  /** Summed over the group's processors, so that it can grow by more than a second in a second. */
  readonly throttledSeconds: number;
}

/** Memory of a control group. */
export interface MemoryUsage {
  /** All that counts against the limit, the page cache included. */
  readonly usedBytes: number;
  /** Without the part of the page cache that the kernel would drop first. */
  readonly workingSetBytes: number;
  /** Processes that the kernel killed because the limit was reached. */
  readonly oomKills: number;
}

/** v1 writes "no limit" as the largest number of pages. */
const NO_LIMIT_BYTES = 2 ** 62;
/** Only the root of a v1 hierarchy has this file: what is counted there is the whole machine. */
const V1_ROOT_ONLY = 'cgroup.sane_behavior';
const V1_CPUACCT_ROOTS = ['/sys/fs/cgroup/cpuacct', ...V1_CPU_ROOTS];
const V1_MEMORY_ROOTS = ['/sys/fs/cgroup/memory'];

/**
 * CPU use of the group that this process is held to: a container's own group, or the nearest one with a quota.
 * Undefined where there is none, e.g. on a desktop, where a group holds other programs too.
 */
export function readCpuUsage(read: ReadText = readText): CpuUsage | undefined {
  const own = parseSelfCgroup(read('/proc/self/cgroup') ?? '');
  const v2 = findGroup(read, own.v2, V2_ROOTS, 'cpu.max', (text) => parseCpuMax(text) !== undefined);
  if (v2 !== undefined) {
    const stat = parseStat(read(join(v2, 'cpu.stat')));
    return cpuUsage(stat, (stat.get('usage_usec') ?? 0) / 1e6, (stat.get('throttled_usec') ?? 0) / 1e6);
  }
  const v1 = findGroup(read, own.v1Cpu, V1_CPU_ROOTS, 'cpu.cfs_quota_us', (text) => Number(text) > 0);
  if (v1 === undefined) return undefined;
  const accounted = findGroup(read, own.v1Cpuacct, V1_CPUACCT_ROOTS, 'cpuacct.usage', () => true);
  const usedNs = Number(accounted === undefined ? 0 : read(join(accounted, 'cpuacct.usage')));
  const stat = parseStat(read(join(v1, 'cpu.stat')));
  return cpuUsage(stat, usedNs / 1e9, (stat.get('throttled_time') ?? 0) / 1e9);
}

/** Memory of the group that this process is held to; undefined where there is none. See `readCpuUsage`. */
export function readMemoryUsage(read: ReadText = readText): MemoryUsage | undefined {
  const own = parseSelfCgroup(read('/proc/self/cgroup') ?? '');
  const v2 = findGroup(read, own.v2, V2_ROOTS, 'memory.max', (text) => text.trim() !== 'max');
  if (v2 !== undefined) {
    const inactive = parseStat(read(join(v2, 'memory.stat'))).get('inactive_file');
    const kills = parseStat(read(join(v2, 'memory.events'))).get('oom_kill');
    return memoryUsage(Number(read(join(v2, 'memory.current'))), inactive, kills);
  }
  const limited = (text: string): boolean => Number(text) < NO_LIMIT_BYTES;
  const v1 = findGroup(read, own.v1Memory, V1_MEMORY_ROOTS, 'memory.limit_in_bytes', limited);
  if (v1 === undefined) return undefined;
  const inactive = parseStat(read(join(v1, 'memory.stat'))).get('total_inactive_file');
  const kills = parseStat(read(join(v1, 'memory.oom_control'))).get('oom_kill');
  return memoryUsage(Number(read(join(v1, 'memory.usage_in_bytes'))), inactive, kills);
}

/** The tightest memory limit on this process in bytes: of its own group or of any above it; undefined without one. */
export function readMemoryLimit(read: ReadText = readText): number | undefined {
  const own = parseSelfCgroup(read('/proc/self/cgroup') ?? '');
  const texts = [
    ...filesUpwards(own.v2, V2_ROOTS, 'memory.max'),
    ...filesUpwards(own.v1Memory, V1_MEMORY_ROOTS, 'memory.limit_in_bytes'),
  ].flatMap((file) => read(file) ?? []);
  const limits = texts.map(Number).filter((bytes) => bytes > 0 && bytes < NO_LIMIT_BYTES);
  return limits.length > 0 ? Math.min(...limits) : undefined;
}

/**
 * The folder of the group that counts: from the process's own upwards, the first whose `limitFile` sets a limit, else
 * the topmost that is mounted where that is a container's own and not the whole machine.
 */
function findGroup(
  read: ReadText,
  group: string | undefined,
  roots: readonly string[],
  limitFile: string,
  isLimit: (text: string) => boolean,
): string | undefined {
  for (const path of upwards(group ?? '/')) {
    for (const root of roots) {
      const folder = join(root, path);
      const text = read(join(folder, limitFile));
      if (text === undefined || read(join(folder, V1_ROOT_ONLY)) !== undefined) continue;
      if (path === '/' || isLimit(text)) return folder;
    }
  }
  return undefined;
}

function filesUpwards(group: string | undefined, roots: readonly string[], file: string): string[] {
  return upwards(group ?? '/').flatMap((path) => roots.map((root) => join(root, path, file)));
}

function cpuUsage(stat: ReadonlyMap<string, number>, usedSeconds: number, throttledSeconds: number): CpuUsage {
  const periods = stat.get('nr_periods') ?? 0;
  return { usedSeconds, periods, throttledPeriods: stat.get('nr_throttled') ?? 0, throttledSeconds };
}

function memoryUsage(usedBytes: number, inactiveBytes = 0, oomKills = 0): MemoryUsage {
  return { usedBytes, workingSetBytes: Math.max(0, usedBytes - inactiveBytes), oomKills };
}

/** Lines of a name and a number. */
function parseStat(text = ''): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .map((line) => line.split(' '))
      .filter((words) => words.length === 2)
      .map(([name, value]) => [name as string, Number(value)]),
  );
}
