import type { Metric } from './metric.js';

/** The share of predictions that equal their label, 0 to 1. */
export const top1: Metric = {
  name: 'top1',
  title: 'top-1 accuracy',
  unit: 'fraction',
  accumulate() {
    let n = 0;
    let right = 0;
    return {
      add(prediction, label) {
        n++;
        if (prediction === label) right++;
      },
      get n() {
        return n;
      },
      value: () => (n === 0 ? null : right / n),
    };
  },
};
