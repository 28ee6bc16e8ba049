import type { WorkloadPart } from '../../types.js';
import type { OwnWorkload } from '../own-workload.js';
import { TEXT_LENGTH, textItems } from './items.js';
import { TEXT_CLASSES } from './sentences.js';
import { VOCABULARY } from './words.js';

const SIZES: Readonly<Record<WorkloadPart, number>> = {
  training: 40_000,
  calibration: 400,
  tuning: 500,
  evaluation: 1000,
};

const FIT = { classes: TEXT_CLASSES.length, vocabulary: VOCABULARY.length, positions: TEXT_LENGTH };

/** How both networks are trained. */
const TRAINING = {
  batch: 32,
  optimizer: { kind: 'adamw', rate: 0.001, betas: [0.9, 0.98] },
  schedule: { kind: 'cosine', warmupSteps: 200 },
  clipNorm: 1,
} as const;

/** What short texts say of a thing. */
export const text: OwnWorkload = {
  name: 'text',
  networks: {
    teacher: {
      name: 'bert-mini',
      options: { ...FIT, layers: 3, hidden: 128, heads: 4, intermediate: 512 },
      training: { ...TRAINING, epochs: 10 },
    },
    student: {
      name: 'bert-mini',
      options: { ...FIT, layers: 2, hidden: 16, heads: 2, intermediate: 32 },
      training: { ...TRAINING, epochs: 10 },
    },
  },
  data(seed) {
    const items = (part: WorkloadPart) => textItems(seed, part, SIZES[part]);
    return {
      name: 'text',
      items: items('evaluation'),
      training: items('training'),
      calibration: items('calibration'),
      tuning: items('tuning'),
      preprocess: { kind: 'tensors' },
      postprocess: { kind: 'argmax', output: 'logits', classes: TEXT_CLASSES },
      metric: 'accuracy',
    };
  },
};
