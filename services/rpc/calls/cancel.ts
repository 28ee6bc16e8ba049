import { TierbedError } from '../../../base/errors.js';

/** Cancels a call when the signal aborts; the function returned lets go of the signal. */
export function cancelOn(signal: AbortSignal | undefined, call: { cancel(): void } | undefined): () => void {
  if (!signal || !call) return () => {};
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/** @throws TierbedError `cancelled` (or `timeout`, or the reason itself if it is one) when the signal has aborted */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  const reason: unknown = signal.reason;
  if (reason instanceof TierbedError) throw reason;
  const timedOut = reason instanceof Error && reason.name === 'TimeoutError';
  throw new TierbedError(timedOut ? 'timeout' : 'cancelled', `${what}: ${timedOut ? 'the time is up' : 'cancelled'}`, {
    cause: reason,
  });
}
