import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, TierbedError } from '../../../../base/errors.js';

/**
 * Tries until it works.
 *
 * @param attempt gives undefined while it is too early
 * @throws TierbedError `unavailable` after `withinMs` with what the last attempt said, `cancelled`
 */
export async function until<T>(
  attempt: () => Promise<T | undefined>,
  { withinMs, everyMs, signal, failure }: UntilOptions,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    let why = '';
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      if (error instanceof TierbedError && error.kind === 'cancelled') throw error;
      why = messageOf(error);
    }
    if (performance.now() >= end) throw failure(why);
    await sleep(everyMs, undefined, { signal }).catch(() => {
      throw new TierbedError('cancelled', 'the run was stopped');
    });
  }
}

export interface UntilOptions {
  readonly withinMs: number;
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** @param why what the last attempt threw; '' when it was just too early */
  readonly failure: (why: string) => TierbedError;
}
