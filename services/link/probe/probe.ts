import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { HEADER_BYTES } from './frame.js';
import type { Exchange, ExchangeTask } from './link-probe.js';

/** The smallest message that a probe sends. */
export const PING_BYTES = HEADER_BYTES;

/** A task for the near end, and where the far end is. */
export interface Exercise extends ExchangeTask {
  readonly host: string;
  readonly port: number;
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
  async run(address: string, task: ExchangeTask): Promise<readonly Exchange[]> {
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
