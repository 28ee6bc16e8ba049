import { readFile } from 'node:fs/promises';

/**
 * The most memory that this process ever had resident. On Linux from /proc, since getrusage counts what its parent had
 * when it was forked.
 */
export async function peakMemoryBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return 1024 * (kilobytes === undefined ? process.resourceUsage().maxRSS : Number(kilobytes));
}
