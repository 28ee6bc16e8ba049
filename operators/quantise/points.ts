import { TierbedError } from '../../base/errors.js';

/** What of a metric says how its values compare. */
export interface MetricScale {
  readonly unit: 'fraction' | 'number';
  readonly better: 'higher' | 'lower';
}

/**
 * How much worse a score is than another, in points; below 0 when it is better. A point is a hundredth of a fraction's whole
 * (top-1 accuracy from 0.915 to 0.900: 1.5 points), and a hundredth of the score before for a metric whose unit is the
 * data's own (a mean squared error from 2.00 to 2.03: 1.5 points).
 *
 * @throws TierbedError `invalid` when both are 0 apart in a metric of the data's own unit that was 0: no share of it is defined
 */
export function dropInPoints({ unit, better }: MetricScale, before: number, after: number): number {
  const worse = better === 'higher' ? before - after : after - before;
  if (unit === 'fraction' || worse === 0) return 100 * worse;
  if (before === 0) {
    throw new TierbedError('invalid', 'the float model scores 0, and a drop in points is a share of that score', {
      fix: 'Use another metric, or leave out `maxDrop`.',
    });
  }
  return (100 * worse) / Math.abs(before);
}
