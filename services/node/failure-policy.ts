import { type ErrorKind, TierbedError } from '../../base/errors.js';
import type { Random } from '../../base/random.js';
import { HopFailure } from '../rpc/hop-failure.js';

/** What a node does when the next one does not answer. */
export interface FailurePolicy {
  /** `fail`: nothing. `retry`: asks again. `fallback`: runs the stages behind it itself. */
  readonly action: 'fail' | 'retry' | 'fallback';
  /** For one attempt, with all that the next node may do about its own hop; 0: none. */
  readonly hopDeadlineMs: number;
  /** Attempts beyond the first. */
  readonly retries: number;
  /** Before the first of these; doubles each time. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly seed: number;
}

/** What a deployment does that says nothing of it. */
export const FAIL: FailurePolicy = {
  action: 'fail',
  hopDeadlineMs: 0,
  retries: 0,
  backoffMs: 0,
  maxBackoffMs: 0,
  seed: 0,
};

/** What asking again can mend; `missing` is a node that was just started and is not deployed to yet. */
const MENDABLE: ReadonlySet<ErrorKind> = new Set(['unavailable', 'timeout', 'cancelled', 'missing']);

/** Whether asking again may help. What the next node says of its own next hop has had its attempts there. */
export function isMendable(error: unknown): boolean {
  return error instanceof TierbedError && !(error instanceof HopFailure) && MENDABLE.has(error.kind);
}

/**
 * How long to wait before the next attempt: exponential, and less up to a half of it, so that callers of a node that comes
 * back do not all come at once.
 *
 * @param failed attempts that failed so far, from 1
 */
export function backoffMs({ backoffMs, maxBackoffMs }: FailurePolicy, failed: number, random: Random): number {
  return Math.min(maxBackoffMs, backoffMs * 2 ** (failed - 1)) * random.uniform(0.5, 1);
}
