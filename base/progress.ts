/** Where long work reports how far it is. Anything over two seconds takes one of these. */
export interface Progress {
  /** Begins a step; `total` in the step's own unit, undefined when it is not known. */
  start(label: string, total?: number): void;
  /** `done` units so far, and a word on what is going on now. */
  update(done: number, note?: string): void;
  /** Ends the step. */
  stop(summary?: string): void;
}

/** For callers that do not care. */
export const silent: Progress = { start() {}, update() {}, stop() {} };
