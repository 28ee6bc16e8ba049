import { TierbedError } from '../../base/errors.js';
import type { Workload } from '../types.js';
import { accuracy } from './accuracy.js';
import { agreement } from './agreement.js';
import { f1 } from './f1.js';
import type { Metric, MetricKind, MetricOptions } from './metric.js';
import { mse } from './mse.js';
import { none } from './none.js';
import { top1 } from './top1.js';
import { top5 } from './top5.js';

export type { Metric, MetricAccumulator, MetricKind, MetricOptions } from './metric.js';

/** The metrics there are: a new one is a file here and an entry below. */
export const METRICS: readonly MetricKind[] = [top1, top5, accuracy, f1, mse, agreement, none];

/** A metric as a workload names it: alone, or a map from its name to its options. */
export type MetricChoice = string | Readonly<Record<string, MetricOptions | null>>;

/** A metric's name and its options. */
export function chosenMetric(choice: MetricChoice): { readonly name: string; readonly options: MetricOptions } {
  if (typeof choice === 'string') return { name: choice, options: {} };
  const [name, options] = Object.entries(choice)[0] ?? ['', {}];
  return { name, options: options ?? {} };
}

/** @throws TierbedError `invalid` when there is no metric of this name */
export function metricKind(name: string): MetricKind {
  const found = METRICS.find((m) => m.name === name);
  if (found) return found;
  const names = METRICS.map((m) => m.name).join(', ');
  throw new TierbedError('invalid', `there is no metric '${name}'`, { fix: `Use one of: ${names}.` });
}

/** @throws TierbedError as `metricKind` */
export function metric(name: string, options: MetricOptions = {}): Metric {
  return metricKind(name).with(options);
}

/** The metric that a workload chose. @throws TierbedError as `metricKind` */
export function metricOf(workload: Pick<Workload, 'metric' | 'metricOptions'>): Metric {
  return metric(workload.metric, workload.metricOptions);
}
