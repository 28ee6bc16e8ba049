import type { Interruption } from '../runtime.js';

interface Open {
  readonly why: string;
  readonly at: string;
  readonly fromMs: number;
}

/** Keeps the record of what was lost, and for how long. */
export class Interruptions {
  readonly #open = new Map<string, Open>();
  readonly #ended: Interruption[] = [];

  /** Of one that is open already, the first reason counts. */
  begin(what: string, why: string): void {
    if (this.#open.has(what)) return;
    this.#open.set(what, { why, at: new Date().toISOString(), fromMs: performance.now() });
  }

  isOpen(what: string): boolean {
    return this.#open.has(what);
  }

  end(what: string): void {
    const open = this.#open.get(what);
    if (!open) return;
    this.#open.delete(what);
    this.#ended.push({ what, why: open.why, at: open.at, tookMs: Math.round(performance.now() - open.fromMs) });
  }

  /** Those that are over, and those that are not. */
  list(): readonly Interruption[] {
    const open = [...this.#open].map(([what, { why, at }]) => ({ what, why, at, tookMs: null }));
    return [...this.#ended, ...open];
  }
}
