import { readFile } from 'node:fs/promises';
import { release, type } from 'node:os';

const CONGESTION_CONTROL = '/proc/sys/net/ipv4/tcp_congestion_control';

/** What of the kernel under a process shapes what TCP does there. */
export interface KernelFacts {
  /** Name and release. */
  readonly kernel: string;
  /** What governs TCP in this process's network namespace, e.g. `cubic`: over one link two of them differ. '' off Linux. */
  readonly congestionControl: string;
}

export async function kernelFacts(): Promise<KernelFacts> {
  const text = await readFile(CONGESTION_CONTROL, 'utf8').catch(() => '');
  return { kernel: `${type()} ${release()}`, congestionControl: text.trim() };
}
