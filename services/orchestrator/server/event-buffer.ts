import { randomBytes } from 'node:crypto';

/** An event as it goes out: `data` is JSON. */
export interface BufferedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

type Listener = (event: BufferedEvent) => void;

/**
 * The last events of a study, so that a reader that was cut off goes on where it was. Ids are `BUFFER-NUMBER`: a
 * reader of a buffer that is gone, e.g. of the process before this one, gets all that there is.
 */
export class EventBuffer {
  readonly #capacity: number;
  readonly #name = randomBytes(4).toString('hex');
  readonly #events: BufferedEvent[] = [];
  readonly #listeners = new Set<Listener>();
  #count = 0;

  /** @param capacity events that are kept */
  constructor(capacity = 1000) {
    this.#capacity = capacity;
  }

  publish(event: string, data: unknown): void {
    const buffered = { id: `${this.#name}-${++this.#count}`, event, data: JSON.stringify(data) };
    this.#events.push(buffered);
    if (this.#events.length > this.#capacity) this.#events.shift();
    for (const listener of [...this.#listeners]) listener(buffered);
  }

  /** What came after the event of this id, or everything where that is not known any more. */
  after(id: string): readonly BufferedEvent[] {
    const at = this.#events.findIndex((event) => event.id === id);
    return this.#events.slice(at + 1);
  }

  /** Calls `listener` with every event from now on, until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
