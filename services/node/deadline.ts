import { TierbedError } from '../../base/errors.js';
import type { CallContext } from '../rpc/method.js';

/** setTimeout's longest delay: what is longer would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Runs something within `ms` of now (0: no bound) as well as within what the call it belongs to allows.
 */
export async function withDeadline<T>(
  call: CallContext,
  ms: number,
  run: (call: CallContext) => Promise<T>,
  message = `the deadline of ${ms} ms passed`,
): Promise<T> {
  if (!(ms > 0)) return run(call);
  const own = new AbortController();
  const passed = new TierbedError('timeout', message);
  const timer = setTimeout(() => own.abort(passed), Math.min(ms, MAX_TIMER_MS));
  try {
    return await run({
      signal: AbortSignal.any([call.signal, own.signal]),
      deadlineMs: Math.min(call.deadlineMs ?? Number.POSITIVE_INFINITY, Date.now() + ms),
    });
  } finally {
    clearTimeout(timer);
  }
}
