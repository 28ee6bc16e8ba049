import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { messageOf, TierbedError } from '../../../base/errors.js';
import type { OrchestratorMetrics } from '../metrics/metrics.js';
import { runStudy } from '../run/run.js';
import { loadStudy } from '../study/study.js';
import type { ApiError, NewStudy, SampleCount, StreamEvents, StudyState, StudyView } from './api.js';
import type { BlobStore } from './blob-store.js';
import { EventBuffer } from './event-buffer.js';
import { EventProgress } from './event-progress.js';
import { checkNewStudy, materialise } from './materialise.js';
import { countSamples, holdsPlan } from './run-counts.js';
import { type StudyRecord, StudyStore } from './study-store.js';
import type { TestbedAccess } from './testbed-access.js';
import { Throttle } from './throttle.js';

/** More than these wait: somebody sends studies by mistake. */
const MAX_QUEUED = 100;
/** A study that ended the orchestrator this often without one more sample is not started by itself again. */
const MAX_FRUITLESS_STARTS = 5;
/** Buffers of studies that are over which are still kept. */
const MAX_OLD_BUFFERS = 20;
const SAMPLES_INTERVAL_MS = 200;

interface Current {
  readonly id: string;
  readonly controller: AbortController;
  readonly progress: EventProgress;
  samples: SampleCount | null;
}

export interface StudiesOptions {
  readonly store: StudyStore;
  readonly blobs: BlobStore;
  readonly access: TestbedAccess;
  readonly metrics: OrchestratorMetrics;
  readonly log: FastifyBaseLogger;
}

/** All studies: one runs, the others wait in order or are over. */
export class Studies {
  readonly #store: StudyStore;
  readonly #blobs: BlobStore;
  readonly #access: TestbedAccess;
  readonly #metrics: OrchestratorMetrics;
  readonly #log: FastifyBaseLogger;
  readonly #records = new Map<string, StudyRecord>();
  readonly #buffers = new Map<string, EventBuffer>();
  #current: Current | undefined;
  /** Settled when the study that runs, or ran last, is over. */
  #ended: Promise<void> = Promise.resolve();
  #closing = false;

  private constructor({ store, blobs, access, metrics, log }: StudiesOptions) {
    this.#store = store;
    this.#blobs = blobs;
    this.#access = access;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Reads what is kept, and goes on with the study that was running when the process before this one ended. */
  static async open(options: StudiesOptions): Promise<Studies> {
    const studies = new Studies(options);
    for (const record of await options.store.load()) {
      studies.#records.set(record.id, record);
      if (record.state === 'running') await studies.#takeUpAgain(record);
    }
    await options.blobs.removeUnused();
    studies.#next();
    return studies;
  }

  async #takeUpAgain(record: StudyRecord): Promise<void> {
    const samples = await countSamples(this.#store.results(record.id));
    if (record.fruitlessStarts < MAX_FRUITLESS_STARTS) {
      this.#log.info({ study: record.id, samples }, 'the study was running when the orchestrator ended: it goes on');
      await this.#save({ ...record, state: 'queued', samples });
      return;
    }
    const message = `the orchestrator ended ${record.fruitlessStarts} times while it ran this study, with no sample more`;
    const fix = `See why in the log (tierbed logs orchestrator, or what tierbed serve printed), then: tierbed study resume ${record.id}`;
    const error: ApiError = { kind: 'internal', message, fix };
    await this.#save({ ...record, state: 'failed', samples, error, finishedAt: new Date().toISOString() });
  }

  /**
   * Takes a study whose files are uploaded.
   *
   * @throws TierbedError `invalid` or `refused` when something is wrong with it, `missing` when a file is not there,
   *   `exhausted` when too many wait
   */
  async add(study: NewStudy): Promise<StudyView> {
    const checked = checkNewStudy(study);
    if (this.#queue().length >= MAX_QUEUED) {
      throw new TierbedError('exhausted', `${MAX_QUEUED} studies are waiting`, { fix: 'Wait, or stop some of them.' });
    }
    const id = StudyStore.newId();
    try {
      await materialise(checked, this.#store.source(id), this.#blobs);
      const now = new Date().toISOString();
      await this.#save({
        ...{ id, name: checked.name, file: checked.file, state: 'queued', createdAt: now, queuedAt: now },
        ...{ startedAt: null, finishedAt: null, samples: null, error: null, fruitlessStarts: 0 },
      });
    } catch (error) {
      await this.#store.remove(id);
      throw error;
    }
    this.#next();
    return this.get(id);
  }

  /** Newest first. */
  list(): StudyView[] {
    return [...this.#records.keys()].toReversed().map((id) => this.get(id));
  }

  /** @throws TierbedError `missing` */
  get(id: string): StudyView {
    const { name, state, createdAt, startedAt, finishedAt, error, samples } = this.#record(id);
    const current = this.#current?.id === id ? this.#current : undefined;
    const position = this.#queue().findIndex((record) => record.id === id);
    return {
      ...{ id, name, createdAt, startedAt, finishedAt, error },
      state: current && state === 'queued' ? 'running' : state,
      position: position < 0 ? null : position + 1,
      step: current?.progress.step ?? null,
      samples: current ? current.samples : samples,
    };
  }

  /** The study that is running. */
  get running(): StudyView | null {
    return this.#current ? this.get(this.#current.id) : null;
  }

  get queued(): number {
    return this.#queue().length;
  }

  /**
   * Stops a study; what is recorded stays, and `resume` goes on behind it. Resolves when nothing of it runs any more.
   *
   * @throws TierbedError `missing`; `refused` when it is over
   */
  async stop(id: string): Promise<StudyView> {
    const record = this.#record(id);
    if (this.#current?.id === id) {
      this.#current.controller.abort();
      await this.#ended;
    } else if (record.state === 'queued') {
      const error = stoppedError(id, 'it was stopped before it ran');
      await this.#save({ ...record, state: 'stopped', error, finishedAt: new Date().toISOString() });
    } else if (record.state !== 'stopped') {
      throw new TierbedError('refused', `the study ${id} is ${record.state}: there is nothing to stop`);
    }
    return this.get(id);
  }

  /** Queues a study again that was stopped or failed. @throws TierbedError `missing`; `refused` when there is nothing to finish */
  async resume(id: string): Promise<StudyView> {
    const record = this.#record(id);
    if (record.state === 'done') {
      throw new TierbedError('refused', `the study ${id} is done: there is nothing to finish`, {
        fix: `Get its results with: tierbed study results ${id}`,
      });
    }
    if (record.state === 'stopped' || record.state === 'failed') {
      const queuedAt = new Date().toISOString();
      const again = { queuedAt, finishedAt: null, error: null, fruitlessStarts: 0 };
      await this.#save({ ...record, ...again, state: 'queued' });
      this.#next();
    }
    return this.get(id);
  }

  /**
   * Removes a study with its results, and the uploads that no other study uses.
   *
   * @throws TierbedError `missing`; `refused` while it runs
   */
  async remove(id: string): Promise<void> {
    this.#record(id);
    if (this.#current?.id === id) {
      throw new TierbedError('refused', `the study ${id} is running`, {
        fix: `Stop it first: tierbed study stop ${id}`,
      });
    }
    // First of all it is not to be started any more.
    this.#records.delete(id);
    this.#buffers.delete(id);
    await this.#store.remove(id);
    await this.#blobs.removeUnused();
  }

  /** The folder of a study's results. @throws TierbedError `missing` */
  results(id: string): string {
    return this.#store.results(this.#record(id).id);
  }

  /** What happens to a study from now on, and lately. @throws TierbedError `missing` */
  events(id: string): EventBuffer {
    this.#record(id);
    const known = this.#buffers.get(id);
    if (known) return known;
    const buffer = new EventBuffer();
    this.#buffers.set(id, buffer);
    for (const old of [...this.#buffers.keys()].slice(0, -MAX_OLD_BUFFERS)) {
      const { state } = this.#record(old);
      if (state !== 'running' && state !== 'queued') this.#buffers.delete(old);
    }
    return buffer;
  }

  /** Tells those who follow the study that runs of a change by hand; its results have it in events.json. */
  tellChange(change: Readonly<Record<string, unknown>>): void {
    if (!this.#current) return;
    const text = `changed by hand: ${JSON.stringify(change)}`;
    this.#publish(this.#current.id, 'log', { time: new Date().toISOString(), text });
  }

  /** Ends the running study so that the next process goes on with it. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#current?.controller.abort();
    await this.#ended;
  }

  #record(id: string): StudyRecord {
    const record = this.#records.get(id);
    if (record) return record;
    throw new TierbedError('missing', `there is no study '${id}'`, { fix: 'See which there are: tierbed study list' });
  }

  #queue(): StudyRecord[] {
    return [...this.#records.values()]
      .filter(({ id, state }) => state === 'queued' && id !== this.#current?.id)
      .sort((a, b) => (a.queuedAt < b.queuedAt ? -1 : a.queuedAt > b.queuedAt ? 1 : 0));
  }

  async #save(record: StudyRecord): Promise<void> {
    await this.#store.save(record);
    this.#records.set(record.id, record);
    this.#publish(record.id, 'state', this.get(record.id));
  }

  #publish<E extends keyof StreamEvents>(id: string, event: E, data: StreamEvents[E]): void {
    this.events(id).publish(event, data);
  }

  /** Starts the next study unless one runs. */
  #next(): void {
    const record = this.#closing || this.#current ? undefined : this.#queue()[0];
    if (!record) return;
    const { id } = record;
    const progress = new EventProgress((event) => this.#publish(id, 'progress', event));
    const current: Current = { id, controller: new AbortController(), progress, samples: record.samples };
    this.#current = current;
    this.#ended = this.#run(record, current)
      .catch((error: unknown) => this.#log.error({ err: error, study: id }, 'the end of a study could not be recorded'))
      .finally(() => {
        this.#current = undefined;
        this.#next();
      });
  }

  async #run(queued: StudyRecord, current: Current): Promise<void> {
    const { id } = queued;
    const fruitlessStarts = queued.fruitlessStarts + 1;
    const startedAt = queued.startedAt ?? new Date().toISOString();
    const running: StudyRecord = {
      ...queued,
      state: 'running',
      startedAt,
      finishedAt: null,
      error: null,
      fruitlessStarts,
    };
    let end: { state: StudyState; error: ApiError | null };
    try {
      await this.#save(running);
      await this.#measure(running, current);
      end = { state: 'done', error: null };
    } catch (error) {
      end = this.#endOf(id, error, current.controller.signal.aborted);
    }
    const samples = await countSamples(this.#store.results(id)).catch(() => current.samples);
    current.samples = samples;
    // What is ended together with this process stays `running`: the next process takes it up again.
    if (this.#closing && end.state === 'stopped') {
      await this.#save({ ...running, samples, fruitlessStarts: queued.fruitlessStarts });
      return;
    }
    this.#current = undefined;
    this.#log.info({ study: id, ...end, samples }, `the study is ${end.state}`);
    await this.#save({ ...running, ...end, samples, finishedAt: new Date().toISOString() });
  }

  async #measure(record: StudyRecord, current: Current): Promise<void> {
    const { id } = record;
    const results = this.#store.results(id);
    const resumable = await holdsPlan(results);
    // Nothing was measured yet: what is there is half of a beginning.
    if (!resumable) await rm(results, { recursive: true, force: true });
    // No other process uses this state folder, so this is the lock of one that is gone, whatever its host was called.
    await rm(join(results, '.lock'), { force: true });
    const throttle = new Throttle(SAMPLES_INTERVAL_MS);
    let failed = 0;
    current.samples = await countSamples(results);
    const file = await loadStudy(join(this.#store.source(id), record.file));
    const seen = this.#metrics.observer({ study: file.study.name, runtime: this.#access.runtime.name });
    try {
      await runStudy(file, {
        ...(resumable ? { resume: results } : { out: results }),
        runtime: this.#access.runtime,
        progress: current.progress,
        signal: current.controller.signal,
        finishWith: `tierbed study resume ${id}`,
        observer: {
          ...seen,
          opened: (testbed, board) => {
            seen.opened?.(testbed, board);
            this.#access.opened(testbed, board);
          },
          closed: () => {
            seen.closed?.();
            this.#access.closed();
          },
          recorded: (row, recorded, planned) => {
            seen.recorded?.(row, recorded, planned);
            if (row.status !== 'ok') failed++;
            current.samples = { recorded, planned };
            const counts = { recorded, planned, failed };
            throttle.run(() => this.#publish(id, 'samples', counts));
            if (record.fruitlessStarts > 0) this.#noteProgress(id);
          },
        },
      });
    } finally {
      throttle.flush();
    }
  }

  /** A sample is on disk, so this start was not in vain. */
  #noteProgress(id: string): void {
    const record = this.#record(id);
    if (record.fruitlessStarts === 0 || record.state !== 'running') return;
    const noted = { ...record, fruitlessStarts: 0 };
    this.#records.set(id, noted);
    this.#store.save(noted).catch((error: unknown) => this.#log.warn({ err: error }, 'a record was not written'));
  }

  #endOf(id: string, error: unknown, stopped: boolean): { state: StudyState; error: ApiError } {
    if (stopped && error instanceof TierbedError && error.kind === 'cancelled') {
      return { state: 'stopped', error: stoppedError(id, error.message) };
    }
    if (!(error instanceof TierbedError)) this.#log.error({ err: error, study: id }, 'a study ended by a defect');
    const kind = error instanceof TierbedError ? error.kind : 'internal';
    const fix = error instanceof TierbedError ? error.fix : undefined;
    return { state: 'failed', error: { kind, message: messageOf(error), fix: fix ?? null } };
  }
}

function stoppedError(id: string, message: string): ApiError {
  return { kind: 'cancelled', message, fix: `Finish it with: tierbed study resume ${id}` };
}
