import type { Metric } from './metric.js';

/** For data without labels: counts the predictions and has no value. */
export const none: Metric = {
  name: 'none',
  title: 'no metric',
  unit: 'fraction',
  accumulate() {
    let n = 0;
    return {
      add() {
        n++;
      },
      get n() {
        return n;
      },
      value: () => null,
    };
  },
};
