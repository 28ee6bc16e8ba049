import type { LessonOptions } from '../distill/options.js';
import type { TrainSettings } from '../train/types.js';
import type { PruneOptions } from './options.js';

/**
 * The settings of arXiv:2411.00907, as the commands and scripts of its public replication package have them. It pruned by
 * Intel Neural Compressor: SNIP with momentum over all layers together, the share that is left shrinking exponentially, no
 * layer losing more than 98 %. `docs/prune.md` says what is known and what is assumed.
 */
export const PRESETS = {
  'study-image': {
    ...{ kind: 'unstructured', score: 'snip-momentum', pattern: '2x1', scope: 'global' },
    ...{ sparsity: 0.75, mostOfLayer: 0.98, exclude: ['fc.*', '*.downsample.*', 'conv1.*', 'head.*'] },
    schedule: { shape: 'exponential', start: 0, end: 8 / 9 },
    distill: { temperature: 2, alpha: 0.5 },
    train: {
      ...{ epochs: 180, batch: 128, labelSmoothing: 0.1 },
      optimizer: { kind: 'sgd', rate: 0.175, momentum: 0.9, nesterov: true, weightDecay: 2e-5 },
      schedule: { kind: 'cosine' },
    },
  },
  'study-text': {
    ...{ kind: 'unstructured', score: 'snip-momentum', pattern: '4x1', scope: 'global' },
    ...{ sparsity: 0.9, mostOfLayer: 0.98, exclude: ['*pooler*', 'classifier.*'] },
    schedule: { shape: 'exponential', start: 1 / 15, end: 10 / 15 },
    distill: { alpha: 0, labels: false, hidden: { at: 'last', weight: 2 } },
    train: {
      ...{ epochs: 15, batch: 16 },
      optimizer: { kind: 'adamw', rate: 5e-5, weightDecay: 5e-5, betas: [0.9, 0.9] },
      schedule: { kind: 'constant' },
    },
  },
} as const satisfies Readonly<
  Record<string, PruneOptions & { readonly train: TrainSettings; readonly distill: LessonOptions }>
>;

export type PresetName = keyof typeof PRESETS;
