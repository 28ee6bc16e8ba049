import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { messageOf, TierbedError } from '../../../base/errors.js';
import type { Arrival, Exchange } from './link-probe.js';
import type { PacketRun, PacketTarget } from './packets.js';
import type { Exercise } from './probe.js';

/** What an end is told to do. */
export type EndTask =
  | { readonly kind: 'exchange'; readonly exercise: Exercise }
  | { readonly kind: 'send' | 'echo'; readonly target: PacketTarget; readonly run: PacketRun }
  | { readonly kind: 'collect'; readonly run: number };

export type EndOrder = EndTask & { readonly id: number };

export interface EndResult {
  readonly exchanges?: readonly Exchange[];
  readonly arrivals?: readonly Arrival[];
}

export type EndAnswer =
  | { readonly id: number; readonly result: EndResult }
  | { readonly id: number; readonly error: string };

/** One end of a measurement, in a thread of its own. */
export class ProbeEnd {
  readonly tcpPort: number;
  readonly udpPort: number;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve(result: EndResult): void; reject(error: Error): void }>();
  #lastId = 0;

  private constructor(worker: Worker, { tcpPort, udpPort }: { readonly tcpPort: number; readonly udpPort: number }) {
    this.#worker = worker;
    this.tcpPort = tcpPort;
    this.udpPort = udpPort;
    worker.on('message', (answer: EndAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiting?.reject(new TierbedError('unavailable', `a probe failed: ${answer.error}`));
      else waiting?.resolve(answer.result);
    });
    worker.on('error', (error) => this.#giveUp(messageOf(error)));
    worker.on('exit', () => this.#giveUp('it was closed'));
  }

  /** @param host the address to listen on @throws TierbedError `unavailable` when that is not this machine's */
  static async open(host: string): Promise<ProbeEnd> {
    const worker = new Worker(new URL('./end-worker.js', import.meta.url), { workerData: { host } });
    try {
      const [ports] = (await once(worker, 'message')) as [{ tcpPort: number; udpPort: number }];
      return new ProbeEnd(worker, ports);
    } catch (error) {
      await worker.terminate();
      throw new TierbedError('unavailable', `a probe cannot listen on ${host}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** @throws TierbedError `unavailable` when what was asked for did not come about */
  run(task: EndTask): Promise<EndResult> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...task, id } satisfies EndOrder);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #giveUp(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new TierbedError('unavailable', `a probe failed: ${why}`));
    this.#waiting.clear();
  }
}
