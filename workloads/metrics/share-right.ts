import type { Metric, MetricAccumulator } from './metric.js';

/** The metric that is the share of right predictions, 0 to 1. */
export function shareRight(
  name: string,
  title: string,
  isRight: (prediction: string, label: string) => boolean,
): Metric {
  return {
    ...{ name, title, unit: 'fraction', better: 'higher' },
    correct: (prediction, label) => (label === '' ? null : isRight(prediction, label)),
    accumulate: () => new ShareRight(isRight),
  };
}

class ShareRight implements MetricAccumulator {
  readonly #isRight: (prediction: string, label: string) => boolean;
  #n = 0;
  #right = 0;

  constructor(isRight: (prediction: string, label: string) => boolean) {
    this.#isRight = isRight;
  }

  add(prediction: string, label: string): void {
    this.#n++;
    if (this.#isRight(prediction, label)) this.#right++;
  }

  get n(): number {
    return this.#n;
  }

  value(): number | null {
    return this.#n === 0 ? null : this.#right / this.#n;
  }
}
