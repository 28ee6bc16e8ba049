import type { Metric } from './metric.js';

/** How much worse a metric became, in points (hundredths); below 0 where it became better, null where one has no value. */
export function worsening(_: Pick<Metric, 'unit'>, before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : 100 * (before - after);
}
