import { classMisfit } from './class-misfit.js';
import type { MetricKind } from './metric.js';
import { shareRight } from './share-right.js';
import { firstIsRight } from './top1.js';

/** The share of predictions that are right, 0 to 1: `top1` by the name that tasks other than pictures have for it. */
export const accuracy: MetricKind = {
  name: 'accuracy',
  with: () => shareRight('accuracy', 'accuracy', firstIsRight),
  misfit: (measured) => classMisfit('accuracy', measured),
};
