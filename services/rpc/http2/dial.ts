import net from 'node:net';

/** A connection that has no answer yet is left to go on, and another is tried beside it, this often. */
const NEXT_AFTER_MS = 1000;

/**
 * Opens a TCP connection. The system repeats a lost SYN after 1, 3, 7, 15... seconds, so that a peer that was out of reach
 * for a while would be found long after it is back; so a new connection is tried every second, and the first to be there
 * is taken.
 *
 * @throws the system's error when the peer refuses, or when `signal` aborts
 */
export function dial(host: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<net.Socket>();
    const settle = (chosen: net.Socket | undefined, error?: unknown): void => {
      clearInterval(again);
      signal.removeEventListener('abort', stop);
      for (const socket of sockets) if (socket !== chosen) socket.destroy();
      sockets.clear();
      if (chosen) resolve(chosen);
      else reject(error);
    };
    const stop = (): void => settle(undefined, signal.reason);
    const attempt = (): void => {
      const socket = net.connect({ host, port, noDelay: true });
      sockets.add(socket);
      socket.once('connect', () => {
        if (sockets.has(socket)) settle(socket.off('error', failed));
      });
      const failed = (error: Error): void => {
        if (sockets.has(socket)) settle(undefined, error);
      };
      socket.on('error', failed);
      // A socket that lost the race may still fail: that is nobody's concern.
      socket.on('error', () => {});
    };
    const again = setInterval(attempt, NEXT_AFTER_MS);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    else attempt();
  });
}
