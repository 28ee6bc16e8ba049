import http2, { type ClientHttp2Session } from 'node:http2';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.js';
import { WINDOW_BYTES } from './limits.js';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS } from './options.js';
import { unreachable } from './status.js';

const CONNECT_TIMEOUT_MS = 20_000;
const RETRY_MS = 100;

/**
 * One HTTP/2 connection to one peer, opened when it is first needed and again when it was lost, its windows opened to
 * `WINDOW_BYTES`. It keeps the process alive only while calls use it.
 */
export class Http2Connection {
  readonly address: string;
  #session: Promise<ClientHttp2Session> | undefined;
  #closed = false;
  #calls = 0;

  constructor(address: string) {
    this.address = address;
  }

  /**
   * The session, connected, with the peer's settings known.
   *
   * @throws TierbedError `unavailable`
   */
  session(): Promise<ClientHttp2Session> {
    if (this.#closed) return Promise.reject(unreachable(this.address, 'the channel was closed'));
    if (!this.#session) {
      const session = this.#connect();
      this.#session = session;
      session.catch(() => this.#forget(session));
    }
    return this.#session;
  }

  /** Tries until there is a connection. @throws TierbedError `unavailable` after `withinMs` */
  async waitForReady(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const leftMs = until - performance.now();
      let why: string;
      try {
        await Promise.race([this.session(), rejectAfter(leftMs)]);
        return;
      } catch (error) {
        why = messageOf(error);
      }
      if (this.#closed || until - performance.now() <= RETRY_MS) {
        throw unreachable(this.address, `no connection within ${withinMs} ms (${why})`);
      }
      await sleep(RETRY_MS);
    }
  }

  /** A call that begins (1) or ends (-1) on a session. */
  use(session: ClientHttp2Session, change: 1 | -1): void {
    this.#calls += change;
    if (this.#calls > 0) session.ref();
    else session.unref();
  }

  close(): void {
    this.#closed = true;
    this.#session?.then((session) => session.destroy()).catch(() => {});
    this.#session = undefined;
  }

  #forget(session: Promise<ClientHttp2Session>): void {
    if (this.#session === session) this.#session = undefined;
  }

  #connect(): Promise<ClientHttp2Session> {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(this.address) ?? [];
    return new Promise((resolve, reject) => {
      const session = http2.connect(`http://${this.address}`, {
        settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
        maxSessionMemory: Number.MAX_SAFE_INTEGER,
        createConnection: () => net.connect({ host, port: Number(port), noDelay: true }),
      });
      let why: unknown = 'the connection was closed';
      const timer = setTimeout(() => session.destroy(new Error('no answer')), CONNECT_TIMEOUT_MS);
      const keepalive = keepAlive(session);
      session.on('error', (error) => {
        why = error;
      });
      session.once('close', () => {
        clearTimeout(timer);
        clearInterval(keepalive);
        this.#forgetWhenClosed(session);
        reject(unreachable(this.address, messageOf(why), why));
      });
      session.once('goaway', () => this.#forgetWhenClosed(session));
      session.once('remoteSettings', () => {
        clearTimeout(timer);
        session.setLocalWindowSize(WINDOW_BYTES);
        if (this.#closed) session.destroy();
        if (this.#calls === 0) session.unref();
        resolve(session);
      });
    });
  }

  /** The next call is to open a new session. */
  #forgetWhenClosed(session: ClientHttp2Session): void {
    const current = this.#session;
    current?.then((open) => open === session && this.#forget(current)).catch(() => {});
  }
}

/** Ends a session whose peer does not answer pings. */
function keepAlive(session: ClientHttp2Session): NodeJS.Timeout {
  let askedAt: number | undefined;
  return setInterval(() => {
    if (askedAt !== undefined) {
      if (performance.now() - askedAt > KEEPALIVE_TIMEOUT_MS) session.destroy(new Error('the peer answers no pings'));
    } else if (!session.connecting && !session.destroyed) {
      askedAt = performance.now();
      session.ping(() => {
        askedAt = undefined;
      });
    }
  }, KEEPALIVE_TIME_MS).unref();
}

async function rejectAfter(ms: number): Promise<never> {
  await sleep(Math.max(0, ms), undefined, { ref: false });
  throw new Error('no answer');
}
