import { connect } from 'node:net';
import { FrameReader, writeFrame } from './frame.js';
import type { Exchange } from './link-probe.js';
import type { Exercise } from './probe.js';

const NOTHING_SEEN = { completeMs: 0, markMs: 0, markBytes: 0 };

/** Does one exercise over a connection of its own. Rejects when it breaks or the answers do not come in time. */
export function exercise({
  host,
  port,
  upBytes,
  downBytes,
  count,
  intervalMs,
  timeoutMs,
}: Exercise): Promise<Exchange[]> {
  return new Promise((resolve, reject) => {
    const sentMs: number[] = [];
    const exchanges: Exchange[] = [];
    const socket = connect({ host, port, noDelay: true });
    let next: NodeJS.Timeout | undefined;
    const settle = (error?: Error) => {
      clearTimeout(next);
      clearTimeout(patience);
      socket.destroy();
      if (error) reject(error);
      else resolve(exchanges);
    };
    const patience = setTimeout(() => {
      settle(new Error(`${exchanges.length} of ${count} probes came back within ${Math.round(timeoutMs)} ms`));
    }, timeoutMs);
    const send = () => {
      sentMs.push(writeFrame(socket, { bytes: upBytes, answerBytes: downBytes, seen: NOTHING_SEEN }));
      // What is sent before the first answer may be waiting for the connection: over links with delay it is slow to open.
      if (intervalMs > 0 && sentMs.length > 1 && sentMs.length < count) next = setTimeout(send, intervalMs);
    };
    const reader = new FrameReader(({ seen, sentMs: answeredMs }, arrival) => {
      const startMs = sentMs[exchanges.length] as number;
      exchanges.push({
        upMs: seen.completeMs - startMs,
        downMs: arrival.completeMs - answeredMs,
        roundTripMs: arrival.completeMs - startMs,
        upTail: { ms: seen.completeMs - seen.markMs, bytes: upBytes - seen.markBytes },
        downTail: { ms: arrival.completeMs - arrival.markMs, bytes: downBytes - arrival.markBytes },
      });
      if (exchanges.length === count) settle();
      else if (intervalMs === 0 || exchanges.length === 1) send();
    });
    socket.once('connect', send);
    socket.on('data', (data) => reader.push(data));
    socket.on('error', settle);
    socket.on('close', () => settle(new Error('the connection broke off')));
  });
}
