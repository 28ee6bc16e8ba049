import { availableParallelism, cpus, freemem, loadavg, release, totalmem, type } from 'node:os';
import { type CpuQuota, readCpuQuota, type ThreadChoice } from './cgroup.js';
import { type CpuUsage, type MemoryUsage, readCpuUsage, readMemoryLimit, readMemoryUsage } from './cgroup-usage.js';

/** What a node runs on, as it goes into the results. Sizes in bytes. */
export interface NodeEnvironment {
  readonly cpuModel: string;
  readonly cores: number;
  readonly coresAvailable: number;
  readonly quota: CpuQuota | null;
  /** Of its control group; null without one. */
  readonly memoryLimitBytes: number | null;
  /** What its control group counted until now; null without one. */
  readonly cpuUsage: CpuUsage | null;
  readonly memoryUsage: MemoryUsage | null;
  readonly threads: number;
  readonly threadsReason: string;
  readonly engine: string;
  readonly runtime: string;
  readonly node: string;
  readonly kernel: string;
  readonly arch: string;
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number;
  /** Of the last minute. */
  readonly load: number;
}

/** @param runtime name and version of the inference runtime */
export function describeEnvironment(engine: string, runtime: string, threads: ThreadChoice): NodeEnvironment {
  return {
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    coresAvailable: availableParallelism(),
    quota: readCpuQuota() ?? null,
    memoryLimitBytes: readMemoryLimit() ?? null,
    cpuUsage: readCpuUsage() ?? null,
    memoryUsage: readMemoryUsage() ?? null,
    threads: threads.threads,
    threadsReason: threads.reason,
    engine,
    runtime,
    node: process.version,
    kernel: `${type()} ${release()}`,
    arch: process.arch,
    memoryBytes: totalmem(),
    memoryFreeBytes: freemem(),
    load: loadavg()[0] ?? 0,
  };
}
