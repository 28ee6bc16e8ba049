import http2, { type ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../base/errors.js';
import { WINDOW_BYTES } from '../limits.js';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS } from '../options.js';
import { unreachable } from '../status.js';
import { dial } from './dial.js';

const CONNECT_TIMEOUT_MS = 20_000;
const RETRY_MS = 100;
/** How long a connection that was replaced may still show that it lives. */
const REPLACED_GRACE_MS = 5_000;

/**
 * One HTTP/2 connection to one peer, opened when it is first needed and again when it was lost, its windows opened to
 * `WINDOW_BYTES`. It keeps the process alive only while calls use it.
 */
export class Http2Connection {
  readonly address: string;
  #session: Promise<ClientHttp2Session> | undefined;
  #suspected: Promise<ClientHttp2Session> | undefined;
  #closed = false;
  #calls = 0;
  /** Attempts to connect that are under way. */
  readonly #dialling = new Set<AbortController>();
  readonly #onSocket: ((socket: Socket) => void) | undefined;

  /** @param onSocket is given every connection that is made */
  constructor(address: string, onSocket?: (socket: Socket) => void) {
    this.address = address;
    this.#onSocket = onSocket;
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

  /**
   * An answer did not come in time. A connection whose packets were lost for a while is given long pauses by TCP: so
   * another one is made beside it, and takes its place unless it answers a ping before that.
   */
  suspect(): void {
    const current = this.#session;
    if (!current || this.#closed || this.#suspected === current) return;
    this.#suspected = current;
    void current
      .then(async (old) => {
        const pong = new Promise<false>((resolve) => {
          if (!old.closed) old.ping((error) => error || resolve(false));
        });
        const other = this.#connect();
        const fresh = await Promise.race([pong, other]).catch(() => false as const);
        if (fresh === false) {
          other.then((late) => late.destroy()).catch(() => {});
          return;
        }
        if (this.#closed || this.#session !== current) {
          fresh.destroy();
          return;
        }
        this.#session = other;
        // What still runs on the old one is not lost, should it be alive after all.
        const alive = (await Promise.race([pong, sleep(REPLACED_GRACE_MS, true, { ref: false })])) === false;
        if (alive) old.close();
        else old.destroy();
      })
      .catch(() => {})
      .finally(() => {
        if (this.#suspected === current) this.#suspected = undefined;
      });
  }

  close(): void {
    this.#closed = true;
    for (const dialling of this.#dialling) dialling.abort(new Error('the channel was closed'));
    this.#session?.then((session) => session.destroy()).catch(() => {});
    this.#session = undefined;
  }

  #forget(session: Promise<ClientHttp2Session>): void {
    if (this.#session === session) this.#session = undefined;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(this.address) ?? [];
    const giveUp = new AbortController();
    this.#dialling.add(giveUp);
    const timer = setTimeout(() => giveUp.abort(new Error('no answer')), CONNECT_TIMEOUT_MS);
    let session: ClientHttp2Session | undefined;
    giveUp.signal.addEventListener('abort', () => session?.destroy(giveUp.signal.reason as Error), { once: true });
    try {
      const socket = await dial(host, Number(port), giveUp.signal);
      this.#onSocket?.(socket);
      session = this.#over(socket);
      await established(session);
      return session;
    } catch (error) {
      throw unreachable(this.address, messageOf(error), error);
    } finally {
      clearTimeout(timer);
      this.#dialling.delete(giveUp);
    }
  }

  #over(socket: Socket): ClientHttp2Session {
    const session = http2.connect(`http://${this.address}`, {
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      createConnection: () => socket,
    });
    const keepalive = keepAlive(session);
    // What went wrong is told to the calls that it breaks off.
    session.on('error', () => {});
    session.once('close', () => {
      clearInterval(keepalive);
      this.#forgetWhenClosed(session);
    });
    session.once('goaway', () => this.#forgetWhenClosed(session));
    session.once('remoteSettings', () => {
      session.setLocalWindowSize(WINDOW_BYTES);
      if (this.#closed) session.destroy();
      if (this.#calls === 0) session.unref();
    });
    return session;
  }

  /** The next call is to open a new session. */
  #forgetWhenClosed(session: ClientHttp2Session): void {
    const current = this.#session;
    current?.then((open) => open === session && this.#forget(current)).catch(() => {});
  }
}

/** Resolves when the peer's settings are known. */
function established(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    let why: unknown = new Error('the connection was closed');
    session.on('error', (error) => {
      why = error;
    });
    session.once('close', () => reject(why));
    session.once('remoteSettings', () => resolve());
  });
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
