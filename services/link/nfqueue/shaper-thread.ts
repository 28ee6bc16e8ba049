import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { messageOf, TierbedError } from '../../../base/errors.js';
import type { Libc } from '../system/libc.js';
import type { NfqueueAnswer, NfqueueCalls, NfqueueRequest, NfqueueStart } from './protocol.js';

const EFD_CLOEXEC = 0o2000000;
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

interface Pending {
  resolve(result: never): void;
  reject(error: unknown): void;
}

/** The thread that shapes, as the driver sees it. It keeps the process alive only while it is asked for something. */
export class ShaperThread {
  readonly #libc: Libc;
  readonly #wakeFd: number;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #failure: TierbedError | undefined;

  /** @param onFailure is called once if the thread dies of itself */
  constructor(libc: Libc, onFailure: () => void) {
    this.#libc = libc;
    this.#wakeFd = libc.eventfd(0, EFD_CLOEXEC);
    if (this.#wakeFd < 0) throw new TierbedError('unavailable', `no eventfd: ${libc.errorName(libc.errno())}`);
    const workerData: NfqueueStart = { wakeFd: this.#wakeFd };
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
    this.#worker.unref();
    this.#worker.on('message', (answer: NfqueueAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => {
      this.#fail(new TierbedError('internal', `the packet shaper failed: ${messageOf(error)}`, { cause: error }));
      onFailure();
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#fail(new TierbedError('unavailable', 'the interfaces are closed'));
        resolve();
      });
    });
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  call<M extends keyof NfqueueCalls>(
    method: M,
    ...args: Parameters<NfqueueCalls[M]>
  ): Promise<ReturnType<NfqueueCalls[M]>> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, method, args } satisfies NfqueueRequest);
      writeSync(this.#wakeFd, ONE);
    });
  }

  /** Ends the thread; it sleeps for a fifth of a second at most, so it always hears. */
  async close(): Promise<void> {
    await this.call('end').catch(() => {});
    await this.#worker.terminate();
    await this.#exited;
    this.#libc.close(this.#wakeFd);
  }

  #settle(answer: NfqueueAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (answer.ok) pending?.resolve(answer.result as never);
    else pending?.reject(new TierbedError('internal', `the packet shaper failed: ${answer.message}`));
  }

  #fail(failure: TierbedError): void {
    this.#failure ??= failure;
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}
