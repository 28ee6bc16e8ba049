import { TierbedError } from '../../../base/errors.js';
import type { CallContext } from '../method.js';

/** What grpc-js's four kinds of server call have in common. */
interface AnyServerCall {
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  getPath(): string;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** The deadline and the signal of a call that a server answers. */
export function contextOf(call: AnyServerCall): CallContext {
  const deadline = Number(call.getDeadline());
  const deadlineMs = Number.isFinite(deadline) ? deadline : undefined;
  const controller = new AbortController();
  const abort = () => {
    const passed = deadlineMs !== undefined && Date.now() >= deadlineMs;
    controller.abort(
      passed
        ? new TierbedError('timeout', `${call.getPath()}: the deadline passed`)
        : new TierbedError('cancelled', `${call.getPath()}: the caller went away`),
    );
  };
  if (call.cancelled) abort();
  else call.on('cancelled', abort);
  return { signal: controller.signal, deadlineMs };
}
