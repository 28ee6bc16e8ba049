import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { HEADER_BYTES } from './frame.js';

/** The smallest message that a probe sends. */
export const PING_BYTES = HEADER_BYTES;

/** `count` messages of `upBytes`, each answered by one of `downBytes` as soon as it is complete. */
export interface Exercise {
  readonly host: string;
  readonly port: number;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly count: number;
  /** Between messages; 0: each waits for the answer to the one before. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** One message and its answer. One-way times hold because both ends read the same clock. */
export interface Exchange {
  readonly upMs: number;
  readonly downMs: number;
  readonly roundTripMs: number;
  /** Bytes that came after the first tenth of the message, and how long they took: its rate without its start. */
  readonly upTail: { readonly ms: number; readonly bytes: number };
  readonly downTail: { readonly ms: number; readonly bytes: number };
}

export type ExerciseResult = { readonly exchanges: readonly Exchange[] } | { readonly error: string };

/**
 * Both ends of a measurement, each in a thread of its own so that neither disturbs the other. The far end listens on
 * `address`; what a route to there does to messages is seen from the near end.
 */
export class Probe {
  readonly address: string;
  readonly #server: Worker;
  readonly #client: Worker;

  private constructor(server: Worker, client: Worker, port: number) {
    this.#server = server;
    this.#client = client;
    this.address = `127.0.0.1:${port}`;
  }

  static async open(): Promise<Probe> {
    const server = new Worker(new URL('./server-worker.js', import.meta.url));
    try {
      const [port] = (await once(server, 'message')) as [number];
      server.unref();
      return new Probe(server, new Worker(new URL('./client-worker.js', import.meta.url)), port);
    } catch (error) {
      await server.terminate();
      throw new TierbedError('internal', `the link probe failed: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Does one exercise over a route's address.
   *
   * @throws TierbedError `unavailable` when the connection breaks or the answers do not come in time
   */
  async run(address: string, task: Omit<Exercise, 'host' | 'port'>): Promise<readonly Exchange[]> {
    const at = address.lastIndexOf(':');
    const exercise: Exercise = { ...task, host: address.slice(0, at), port: Number(address.slice(at + 1)) };
    this.#client.postMessage(exercise);
    const [result] = (await once(this.#client, 'message')) as [ExerciseResult];
    if ('error' in result) throw new TierbedError('unavailable', `a probe over ${address} failed: ${result.error}`);
    return result.exchanges;
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.terminate(), this.#server.terminate()]);
  }
}
