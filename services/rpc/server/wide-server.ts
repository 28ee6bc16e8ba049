import { constants, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { Server, type ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import { WINDOW_BYTES } from '../limits.js';

/** grpc-js's server as this file sees it: what is used of it, and the method, private in its types, that is extended. */
interface BaseServer extends Pick<Server, 'addService' | 'bindAsync' | 'tryShutdown'> {
  createHttp2Server(credentials: ServerCredentials): Http2Server;
}

const Base = Server as unknown as new (options: ServerOptions) => BaseServer;

/**
 * grpc-js's server with the HTTP/2 windows of its streams and connections opened to `WINDOW_BYTES` (it opens none itself:
 * grpc-node pull request 3058), and with an end that holds: its own forced shutdown finds no sessions without channelz.
 */
export class WideServer extends Base {
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #onSocket: ((socket: Socket) => void) | undefined;

  /** @param onSocket is given every connection that comes in */
  constructor(onSocket: ((socket: Socket) => void) | undefined, options: ServerOptions) {
    super(options);
    this.#onSocket = onSocket;
  }

  /** Takes no more calls, lets those that run finish for `graceMs`, then cancels them. */
  shutDown(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const force = setTimeout(() => {
        for (const session of this.#sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL);
      }, graceMs);
      this.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
  }

  override createHttp2Server(credentials: ServerCredentials): Http2Server {
    const http2 = super.createHttp2Server(credentials);
    http2.updateSettings({ initialWindowSize: WINDOW_BYTES });
    if (this.#onSocket) http2.on('connection', this.#onSocket);
    http2.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.setLocalWindowSize(WINDOW_BYTES);
    });
    return http2;
  }
}
