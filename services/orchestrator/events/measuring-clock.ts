/** Counts the time of measuring, from the first sample; that of a run that was stopped goes on where it was. */
export class MeasuringClock {
  #beforeMs = 0;
  #startedMs: number | undefined;

  /** @param beforeMs what earlier parts of the run measured */
  start(beforeMs: number): void {
    this.#beforeMs = beforeMs;
    this.#startedMs = performance.now();
  }

  nowMs(): number {
    return this.#startedMs === undefined ? 0 : this.#beforeMs + performance.now() - this.#startedMs;
  }
}
