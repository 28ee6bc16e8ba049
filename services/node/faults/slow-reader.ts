import type { Socket } from 'node:net';
import { TierbedError } from '../../../base/errors.js';
import { type NodeFault, numberOf } from './fault.js';

/** How often it is looked at whether reading may go on. */
const TICK_MS = 5;

/** A socket's handle, whose reading can be stopped below HTTP/2: what comes waits in the system, then with the sender. */
interface Handle {
  readStart(): number;
  readStop(): number;
}

/**
 * The node takes what comes in over its data connections late: it reads for an instant every `pauseMs`, or so that no more
 * than `rateMbps` is read in the long run; or both.
 */
export const slowReader: NodeFault = {
  name: 'slow-reader',
  start(options, { dataSockets }) {
    if (options.pauseMs === undefined && options.rateMbps === undefined) {
      throw new TierbedError('invalid', 'a slow reader needs pauseMs or rateMbps', {
        fix: 'Give one of them, or both.',
      });
    }
    const pauseMs = numberOf(options, 'pauseMs', 0, 60_000, 0);
    const bytesPerMs = (numberOf(options, 'rateMbps', 0.001, 100_000, 100_000) * 1000) / 8;
    const states = new Map<Socket, { readonly sinceMs: number; readonly fromBytes: number }>();
    let lastReadMs = performance.now();
    const tick = (): void => {
      const nowMs = performance.now();
      const due = nowMs - lastReadMs >= pauseMs;
      if (due) lastReadMs = nowMs;
      for (const socket of dataSockets) {
        const handle = handleOf(socket);
        if (!handle) continue;
        const state = states.get(socket) ?? { sinceMs: nowMs, fromBytes: socket.bytesRead };
        states.set(socket, state);
        const allowed = (nowMs - state.sinceMs) * bytesPerMs;
        if (due && socket.bytesRead - state.fromBytes <= allowed) handle.readStart();
        else handle.readStop();
      }
      for (const socket of states.keys()) if (!dataSockets.has(socket)) states.delete(socket);
      // What is there is read before the timers of the next turn: then it is over again.
      if (due && pauseMs > 0) setImmediate(() => setImmediate(stop));
    };
    const stop = (): void => {
      if (!running) return;
      for (const socket of dataSockets) handleOf(socket)?.readStop();
    };
    let running = true;
    const timer = setInterval(tick, TICK_MS);
    timer.unref();
    stop();
    return () => {
      running = false;
      clearInterval(timer);
      for (const socket of dataSockets) handleOf(socket)?.readStart();
    };
  },
};

function handleOf(socket: Socket): Handle | undefined {
  if (socket.destroyed) return undefined;
  return (socket as Socket & { readonly _handle?: Handle | null })._handle ?? undefined;
}
