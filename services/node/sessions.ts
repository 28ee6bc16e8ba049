import type { InferenceWorker } from './worker-client.js';
import type { OpenResult, SessionSpec } from './worker-messages.js';

interface Shared {
  users: number;
  readonly opened: Promise<OpenResult>;
}

/** Sessions that stay open. Deployments of the same model, engine, threads and optimisation share one. */
export class Sessions {
  readonly #worker: InferenceWorker;
  readonly #shared = new Map<string, Shared>();

  constructor(worker: InferenceWorker) {
    this.#worker = worker;
  }

  /** Sessions that are open now. */
  get open(): number {
    return this.#shared.size;
  }

  /**
   * Opens a session, or joins the users of one that is open.
   *
   * @throws TierbedError `invalid` when the model is damaged or not supported
   */
  async acquire(spec: SessionSpec): Promise<OpenResult & { readonly shared: boolean }> {
    const known = this.#shared.get(spec.key);
    const entry = known ?? { users: 0, opened: this.#worker.call('open', spec) };
    entry.users++;
    if (!known) this.#shared.set(spec.key, entry);
    try {
      const opened = await entry.opened;
      if (!known) this.#worker.onLoad('warm', opened.loadNs);
      return { ...opened, shared: known !== undefined };
    } catch (error) {
      if (this.#shared.get(spec.key) === entry) this.#shared.delete(spec.key);
      throw error;
    }
  }

  /** Takes one user off a session and ends it with the last. */
  async release(key: string): Promise<void> {
    const entry = this.#shared.get(key);
    if (!entry || --entry.users > 0) return;
    this.#shared.delete(key);
    await this.#worker.call('close', { key });
  }

  /** Opens a model to see that it can be opened, and what it takes and gives. */
  async probe(spec: SessionSpec): Promise<OpenResult> {
    const key = `${spec.key} probe`;
    const opened = await this.#worker.call('open', { ...spec, key });
    this.#worker.onLoad('cold', opened.loadNs);
    await this.#worker.call('close', { key });
    return opened;
  }
}

/** The one string that tells sessions apart. */
export function sessionSpec(spec: Omit<SessionSpec, 'key'>): SessionSpec {
  const { modelPath, engine, threads, graphOptimization } = spec;
  return { ...spec, key: JSON.stringify([modelPath, engine, threads, graphOptimization]) };
}
