import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, told from every other that had or will have its number. */
export interface ProcessOwner {
  readonly pid: number;
  /** When it began, in the kernel's ticks; '' where the kernel does not say. */
  readonly startTicks: string;
  /** The host, and on it the namespace that the number counts in: a container has one of its own. */
  readonly host: string;
}

export function thisProcess(): ProcessOwner {
  return { pid: process.pid, startTicks: startTicks(process.pid), host: thisHost() };
}

/** Whether a process is still there; undefined for one of another host, of which it cannot be known. */
export function isAlive({ pid, startTicks: began, host }: ProcessOwner): boolean | undefined {
  if (host !== thisHost()) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return startTicks(pid) === began;
}

function thisHost(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)); '' where there is none. */
function startTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
