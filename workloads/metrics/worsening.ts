import type { Metric } from './metric.js';

/**
 * How much worse a metric became: in points (hundredths) for fractions, in percent of what it was before for numbers.
 * Below 0 where it became better; null where one has no value.
 */
export function worsening(
  { unit, better }: Pick<Metric, 'unit' | 'better'>,
  before: number | null,
  after: number | null,
): number | null {
  if (before === null || after === null) return null;
  const worse = better === 'higher' ? before - after : after - before;
  if (unit === 'fraction') return 100 * worse;
  return worse === 0 ? 0 : (100 * worse) / Math.abs(before);
}
