import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/** A CPU quota that some control group puts on this process. */
export interface CpuQuota {
  /** Processors' worth of time per second; may be a fraction. */
  readonly cpus: number;
  /** The file that says so. */
  readonly source: string;
}

/** How many threads an inference session gets, and why. */
export interface ThreadChoice {
  readonly threads: number;
  readonly reason: string;
}

/** Reads a small text file; undefined when there is none. */
export type ReadText = (path: string) => string | undefined;

/** Where the hierarchies are mounted. */
export const V2_ROOTS: readonly string[] = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
export const V1_CPU_ROOTS: readonly string[] = [
  '/sys/fs/cgroup/cpu',
  '/sys/fs/cgroup/cpu,cpuacct',
  '/sys/fs/cgroup/cpuacct,cpu',
];

/**
 * The quota in a cgroup v2 `cpu.max` ("$MAX $PERIOD", in microseconds; "max" is no limit).
 * Linux, Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files".
 */
export function parseCpuMax(text: string): number | undefined {
  const [quota, period = '100000'] = text.trim().split(/\s+/);
  return quotaOf(quota, period);
}

/**
 * The quota in a cgroup v1 pair of `cpu.cfs_quota_us` (-1 is no limit) and `cpu.cfs_period_us`.
 * Linux, Documentation/scheduler/sched-bwc.rst.
 */
export function parseCfsQuota(quota: string, period: string): number | undefined {
  return quotaOf(quota.trim(), period.trim());
}

/** The group paths in `/proc/self/cgroup`: of the unified hierarchy, and of v1's controllers. */
export interface SelfCgroup {
  readonly v2?: string;
  readonly v1Cpu?: string;
  readonly v1Cpuacct?: string;
  readonly v1Memory?: string;
}

const V1_KEYS: Readonly<Record<string, Exclude<keyof SelfCgroup, 'v2'>>> = {
  cpu: 'v1Cpu',
  cpuacct: 'v1Cpuacct',
  memory: 'v1Memory',
};

export function parseSelfCgroup(text: string): SelfCgroup {
  const paths: { -readonly [K in keyof SelfCgroup]: SelfCgroup[K] } = {};
  for (const line of text.split('\n')) {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line);
    if (!match) continue;
    const [, id, controllers, path] = match as unknown as [string, string, string, string];
    if (id === '0' && controllers === '') paths.v2 = path;
    for (const controller of controllers.split(',')) {
      const key = V1_KEYS[controller];
      if (key) paths[key] = path;
    }
  }
  return paths;
}

/**
 * The tightest CPU quota on this process: that of its own group or of any group above it.
 * Inside a container the path may be the host's while only the container's part is mounted, so every ancestor's file
 * is tried and the ones that are not there are passed over.
 */
export function readCpuQuota(read: ReadText = readText): CpuQuota | undefined {
  const own = parseSelfCgroup(read('/proc/self/cgroup') ?? '');
  const found: CpuQuota[] = [];
  const note = (cpus: number | undefined, source: string): void => {
    if (cpus !== undefined) found.push({ cpus, source });
  };
  for (const group of upwards(own.v2 ?? '/')) {
    for (const root of V2_ROOTS) {
      const file = join(root, group, 'cpu.max');
      const text = read(file);
      if (text !== undefined) note(parseCpuMax(text), file);
    }
  }
  for (const group of upwards(own.v1Cpu ?? '/')) {
    for (const root of V1_CPU_ROOTS) {
      const file = join(root, group, 'cpu.cfs_quota_us');
      const quota = read(file);
      const period = read(join(root, group, 'cpu.cfs_period_us'));
      if (quota !== undefined && period !== undefined) note(parseCfsQuota(quota, period), file);
    }
  }
  return found.reduce<CpuQuota | undefined>((least, q) => (least && least.cpus <= q.cpus ? least : q), undefined);
}

/**
 * Threads for a tier: what it states, else what the quota leaves (a fraction rounded down, but at least 1), else the
 * processors this process may use. ONNX Runtime would take the host's cores whatever the quota is.
 */
export function chooseThreads(stated: number | undefined, quota: CpuQuota | undefined, cores: number): ThreadChoice {
  if (stated !== undefined && stated > 0) return { threads: stated, reason: 'set for the tier' };
  if (quota && quota.cpus < cores) {
    const threads = Math.max(1, Math.floor(quota.cpus));
    return { threads, reason: `quota of ${Number(quota.cpus.toFixed(3))} CPUs in ${quota.source}` };
  }
  return { threads: cores, reason: `${cores} processors available and no lower quota` };
}

/** `chooseThreads` for this process as it stands. */
export function threadsHere(stated: number | undefined): ThreadChoice {
  return chooseThreads(stated, readCpuQuota(), availableParallelism());
}

function quotaOf(quota: string | undefined, period: string): number | undefined {
  const cpus = Number(quota) / Number(period);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : undefined;
}

/** A group's path and those of all groups above it, the root last. */
export function upwards(group: string): readonly string[] {
  const paths: string[] = [];
  for (let path = posix.normalize(`/${group}`); ; path = posix.dirname(path)) {
    paths.push(path);
    if (path === '/') return paths;
  }
}

/** The file's text, or undefined when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
