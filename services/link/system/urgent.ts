import { setPriority } from 'node:os';

/**
 * Asks for this thread, which stands for a network or measures one, to run before the work that uses it, as hardware would. Linux gives threads
 * priorities of their own, and grants them to root or with CAP_SYS_NICE alone; without, nothing changes.
 */
export function becomeUrgent(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, -10);
  } catch {
    // Not allowed: on a machine that is not overloaded it makes no difference.
  }
}
