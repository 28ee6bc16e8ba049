import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Registry } from 'prom-client';
import { readCounter, readGauge } from '../metrics/read-figures.js';
import { type CpuQuota, readCpuQuota } from './cgroup.js';
import { type CpuUsage, type MemoryUsage, readCpuUsage, readMemoryLimit, readMemoryUsage } from './cgroup-usage.js';

/** What the node may use, and what it uses. */
export interface Resources {
  cpu(): CpuUsage;
  memory(): MemoryUsage;
  /** Processors' worth of time per second. */
  cpuLimitCores(): number;
  memoryLimitBytes(): number;
}

/**
 * Figures of what the node uses of the machine, for Prometheus. Nothing is read until somebody asks for the metrics, and
 * then once, however many figures come of it.
 */
export function registerResourceMetrics(registry: Registry, resources: Resources = resourcesHere()): void {
  const cpu = oncePerScrape(resources.cpu);
  const memory = oncePerScrape(resources.memory);
  readCounter(registry, 'tierbed_cpu_seconds_total', 'CPU time that the tier used.', () => cpu().usedSeconds);
  readCounter(
    registry,
    'tierbed_cpu_periods_total',
    'CFS periods in which the tier wanted to run.',
    () => cpu().periods,
  );
  readCounter(
    registry,
    'tierbed_cpu_throttled_periods_total',
    'CFS periods in which the tier used its CPU quota up.',
    () => cpu().throttledPeriods,
  );
  readCounter(
    registry,
    'tierbed_cpu_throttled_seconds_total',
    'Time that the CPU quota held the tier back, summed over processors.',
    () => cpu().throttledSeconds,
  );
  readGauge(
    registry,
    'tierbed_cpu_limit_cores',
    'Processors that the tier may use: its CPU quota, or the machine without one.',
    resources.cpuLimitCores,
  );
  readGauge(registry, 'tierbed_memory_usage_bytes', 'Memory that counts against the limit.', () => memory().usedBytes);
  readGauge(
    registry,
    'tierbed_memory_working_set_bytes',
    'Memory in use without the file cache that would be dropped first.',
    () => memory().workingSetBytes,
  );
  readGauge(
    registry,
    'tierbed_memory_limit_bytes',
    "The tier's memory limit, or the machine's memory without one.",
    resources.memoryLimitBytes,
  );
  readCounter(
    registry,
    'tierbed_memory_oom_kills_total',
    'Processes of the tier that the kernel killed at the memory limit.',
    () => memory().oomKills,
  );
}

/** Of the control group that holds this process, else of the process itself. */
export function resourcesHere(): Resources {
  const ofProcess = (): MemoryUsage => {
    const usedBytes = process.memoryUsage.rss();
    return { usedBytes, workingSetBytes: usedBytes, oomKills: 0 };
  };
  return {
    cpu: () => readCpuUsage() ?? processCpu(),
    memory: () => readMemoryUsage() ?? ofProcess(),
    cpuLimitCores: () => coresOf(readCpuQuota()),
    memoryLimitBytes: () => Math.min(readMemoryLimit() ?? Number.POSITIVE_INFINITY, totalmem()),
  };
}

function coresOf(quota: CpuQuota | undefined): number {
  // Newer versions of Node cut a quota's fraction off in `availableParallelism`.
  return quota ? Math.min(quota.cpus, cpus().length) : availableParallelism();
}

function processCpu(): CpuUsage {
  const { user, system } = process.cpuUsage();
  return { usedSeconds: (user + system) / 1e6, periods: 0, throttledPeriods: 0, throttledSeconds: 0 };
}

/** The registry asks all figures in one turn of the event loop: what was read is good until that turn ends. */
function oncePerScrape<T>(read: () => T): () => T {
  let last: { readonly value: T } | undefined;
  return () => {
    if (last === undefined) {
      last = { value: read() };
      setImmediate(() => {
        last = undefined;
      });
    }
    return last.value;
  };
}
