import { TierbedError } from '../../../base/errors.js';
import type { CallContext } from '../method.js';

/** What grpc-js's four kinds of server call have in common. */
interface AnyServerCall {
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  getPath(): string;
  on(event: 'cancelled', listener: () => void): unknown;
}

/**
 * The deadline and the signal of a call that a server answers. grpc-js says `cancelled` after every call, answered or not:
 * `answered` is to be called first, so that a signal aborts only for a call that nobody waits for any more.
 */
export function contextOf(call: AnyServerCall): CallContext & { answered(): void } {
  const deadline = Number(call.getDeadline());
  const deadlineMs = Number.isFinite(deadline) ? deadline : undefined;
  const controller = new AbortController();
  let open = true;
  const abort = () => {
    if (!open) return;
    const passed = deadlineMs !== undefined && Date.now() >= deadlineMs;
    controller.abort(
      passed
        ? new TierbedError('timeout', `${call.getPath()}: the deadline passed`)
        : new TierbedError('cancelled', `${call.getPath()}: the caller went away`),
    );
  };
  if (call.cancelled) abort();
  else call.on('cancelled', abort);
  return {
    signal: controller.signal,
    deadlineMs,
    answered: () => {
      open = false;
    },
  };
}
