import type { Settings } from './settings.js';

/**
 * The learning rate of a step. Warm-up rises from rate / warmupSteps to the rate; what follows counts from its end.
 * `cosine` falls to `floor` times the rate (Loshchilov and Hutter, SGDR, arXiv:1608.03983, without restarts); `step`
 * multiplies by `factor` behind every so many epochs.
 *
 * @param step from 0
 * @param steps of the whole training
 * @param epoch from 0
 */
export function learningRate(
  schedule: Settings['schedule'],
  rate: number,
  step: number,
  steps: number,
  epoch: number,
): number {
  const { warmupSteps } = schedule;
  if (step < warmupSteps) return (rate * (step + 1)) / warmupSteps;
  switch (schedule.kind) {
    case 'constant':
      return rate;
    case 'cosine': {
      const { floor = 0 } = schedule;
      const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
      return rate * (floor + ((1 - floor) * (1 + Math.cos(Math.PI * progress))) / 2);
    }
    case 'step':
      return rate * schedule.factor ** Math.floor(epoch / schedule.every);
  }
}
