import { Worker } from 'node:worker_threads';
import { TierbedError } from '../../base/errors.js';
import { disableTelemetry } from '../../base/no-telemetry.js';
import { nowNs } from './clock.js';
import { transferable } from './transfer.js';
import type { AnswerMessage, CallName, Calls, RunJob, RunResult } from './worker-messages.js';

const WORKER_URL = new URL('./worker.js', import.meta.url);

/** A run as the serving thread saw it: when the job left for the worker, and when its answer was back. */
export interface TimedRun extends RunResult {
  readonly postedNs: bigint;
  readonly returnedNs: bigint;
}

interface Pending {
  resolve(result: never): void;
  reject(error: TierbedError): void;
}

/**
 * The serving thread's end of the inference worker. When the thread dies, what it had in hand fails with `internal` and
 * the next call starts another; sessions are opened again by the requests that need them.
 */
export class InferenceWorker {
  readonly #url: URL;
  /** Told when the thread dies without being asked to. */
  onDeath: (error: TierbedError) => void = () => {};
  /** Told when a session was created, and in how many ns: one that is kept, or one of a cold request or deployment. */
  onLoad: (session: 'warm' | 'cold', ns: number) => void = () => {};
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #stopped = false;
  #nextId = 0;

  constructor(url: URL = WORKER_URL) {
    this.#url = url;
  }

  /** Runs one request. Large buffers of its tensors are handed over and cannot be read here afterwards. */
  async run(job: RunJob): Promise<TimedRun> {
    const postedNs = nowNs();
    const item = job.item && transferable([itemTensor(job.item.bytes)]);
    const inputs = transferable(job.inputs);
    const argument: RunJob = {
      ...job,
      inputs: inputs.tensors,
      item: job.item && item && { preprocess: job.item.preprocess, bytes: firstBytes(item.tensors) },
    };
    const result = await this.call('run', argument, [...inputs.transfer, ...(item?.transfer ?? [])]);
    const returnedNs = nowNs();
    // Counted when the run's outputs are on their way: nobody has to wait for that.
    if (result.loadNs > 0) setImmediate(() => this.onLoad(job.fresh ? 'cold' : 'warm', result.loadNs));
    return { ...result, postedNs, returnedNs };
  }

  /** @throws TierbedError what the worker threw, or `internal` when it died */
  call<K extends CallName>(
    call: K,
    argument: Calls[K]['argument'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Calls[K]['result']> {
    if (this.#stopped) return Promise.reject(new TierbedError('unavailable', 'the node is shutting down'));
    const worker = this.#running();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      try {
        worker.postMessage({ id, call, argument }, transfer);
      } catch (error) {
        this.#pending.delete(id);
        throw error;
      }
    });
  }

  /** Ends the thread; what it has in hand fails. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#worker?.terminate();
  }

  #running(): Worker {
    if (this.#worker) return this.#worker;
    // The engine's library is loaded in that thread, which cannot say it itself.
    disableTelemetry();
    const worker = new Worker(this.#url);
    this.#worker = worker;
    let cause: Error | undefined;
    worker.on('message', (message: AnswerMessage) => this.#settle(message));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => this.#died(worker, code, cause));
    return worker;
  }

  #settle(message: AnswerMessage): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    this.#pending.delete(message.id);
    if ('result' in message) {
      pending.resolve(message.result as never);
    } else {
      const { kind, message: text, fix } = message.error;
      pending.reject(new TierbedError(kind, text, fix === undefined ? {} : { fix }));
    }
  }

  #died(worker: Worker, code: number, cause: Error | undefined): void {
    if (this.#worker === worker) this.#worker = undefined;
    const error = this.#stopped
      ? new TierbedError('unavailable', 'the node is shutting down')
      : new TierbedError('internal', `the inference thread died (${cause?.message ?? `exit code ${code}`})`, {
          fix: 'Send the request again: the node starts another thread for it.',
          cause,
        });
    for (const [id, pending] of this.#pending) {
      this.#pending.delete(id);
      pending.reject(error);
    }
    if (!this.#stopped) this.onDeath(error);
  }
}

function itemTensor(bytes: Uint8Array) {
  return { name: 'item', tensor: { dtype: 'string', shape: [1], data: [bytes] } } as const;
}

function firstBytes(tensors: ReturnType<typeof transferable>['tensors']): Uint8Array {
  const tensor = tensors[0]?.tensor;
  if (tensor?.dtype !== 'string' || !tensor.data[0]) throw new TierbedError('internal', 'an item lost its bytes');
  return tensor.data[0];
}
