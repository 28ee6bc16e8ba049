import { rankedClasses } from '../postprocess/ranking.js';
import { classMisfit } from './class-misfit.js';
import type { MetricKind } from './metric.js';
import { shareRight } from './share-right.js';

/** Whether a prediction's likeliest class is the label. */
export const firstIsRight = (prediction: string, label: string): boolean => rankedClasses(prediction)[0] === label;

/** The share of predictions whose likeliest class is their label, 0 to 1. */
export const top1: MetricKind = {
  name: 'top1',
  with: () => shareRight('top1', 'top-1 accuracy', firstIsRight),
  misfit: (measured) => classMisfit('top1', measured),
};
