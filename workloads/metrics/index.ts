import { TierbedError } from '../../base/errors.js';
import type { Metric } from './metric.js';
import { none } from './none.js';
import { top1 } from './top1.js';

export type { Metric, MetricAccumulator } from './metric.js';

/** The metrics there are: a new one is a file here and an entry below. */
const METRICS: readonly Metric[] = [top1, none];

export const metricNames: readonly string[] = METRICS.map(({ name }) => name);

/** @throws TierbedError `invalid` when there is no metric of this name */
export function metric(name: string): Metric {
  const found = METRICS.find((m) => m.name === name);
  if (found) return found;
  throw new TierbedError('invalid', `there is no metric '${name}'`, { fix: `Use one of: ${metricNames.join(', ')}.` });
}
