import { rankedClasses } from '../postprocess/ranking.js';
import { classMisfit } from './class-misfit.js';
import type { MetricKind } from './metric.js';
import { shareRight } from './share-right.js';

const TOP = 5;

/** The share of predictions with the label among their five likeliest classes, 0 to 1. */
export const top5: MetricKind = {
  name: 'top5',
  with: () =>
    shareRight('top5', 'top-5 accuracy', (prediction, label) =>
      rankedClasses(prediction).slice(0, TOP).includes(label),
    ),
  misfit(measured) {
    const { postprocess } = measured;
    const top = postprocess.kind === 'argmax' ? (postprocess.top ?? 1) : TOP;
    if (top >= TOP) return classMisfit('top5', measured);
    return {
      at: ['metric'],
      message: `'top5' needs the five likeliest classes, and the postprocessing gives ${top === 1 ? 'one' : top}`,
      fix: 'Write `top: 5` in the postprocessing, or use the metric top1.',
    };
  },
};
