import type { Metric, MetricKind } from './metric.js';

/** For data without labels: counts the predictions and has no value. */
export const none: MetricKind = {
  name: 'none',
  misfit: () => undefined,
  with: (): Metric => ({
    ...{ name: 'none', title: 'no metric', unit: 'fraction', better: 'higher' },
    correct: () => null,
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
  }),
};
