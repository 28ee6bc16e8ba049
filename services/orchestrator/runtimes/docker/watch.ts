import { type ClientHttp2Session, connect } from 'node:http2';

/**
 * Holds an idle connection to each address and tells when one ends: the kernel closes it the moment that its process
 * dies, which is sooner than any poll and costs a throttled tier nothing.
 */
export class Watch {
  readonly #sessions = new Map<string, ClientHttp2Session>();
  readonly #onGone: (name: string, why: string) => void;

  constructor(onGone: (name: string, why: string) => void) {
    this.#onGone = onGone;
  }

  /** Watches an address, in place of the one before of this name. */
  set(name: string, address: string): void {
    this.drop(name);
    const session = connect(`http://${address}`);
    this.#sessions.set(name, session);
    session.unref();
    let why = 'its control plane closed the connection';
    session.on('error', (error) => {
      why = error.message;
    });
    session.on('close', () => {
      if (this.#sessions.get(name) !== session) return;
      this.#sessions.delete(name);
      this.#onGone(name, why);
    });
  }

  drop(name: string): void {
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    session?.destroy();
  }

  close(): void {
    for (const name of [...this.#sessions.keys()]) this.drop(name);
  }
}
