import type { WorkloadPart } from '../../types.js';
import type { OwnWorkload } from '../own-workload.js';
import { PICTURE_CLASSES } from './classes.js';
import { pictureItems } from './items.js';

/** Side of the square picture that networks see. */
const SIDE = 48;

const SIZES: Readonly<Record<WorkloadPart, number>> = {
  training: 6000,
  calibration: 400,
  tuning: 500,
  evaluation: 1000,
};

const FIT = { classes: PICTURE_CLASSES.length, imageSize: SIDE, stemStride: 2, blocks: [1, 1, 1, 1] } as const;

/** How both networks are trained. */
const TRAINING = {
  batch: 64,
  optimizer: { kind: 'sgd', rate: 0.08, momentum: 0.9, nesterov: true, weightDecay: 0.0005 },
  schedule: { kind: 'cosine', warmupSteps: 100 },
  augment: [{ kind: 'crop', pad: 4 }, { kind: 'flip' }],
} as const;

/** Pictures of simple things, as a camera gives them. */
export const pictures: OwnWorkload = {
  name: 'pictures',
  networks: {
    teacher: {
      name: 'resnet20',
      options: { ...FIT, channels: [16, 32, 64, 192] },
      training: { ...TRAINING, epochs: 20 },
    },
    student: {
      name: 'resnet20',
      options: { ...FIT, channels: [8, 16, 24, 48] },
      training: { ...TRAINING, epochs: 16 },
    },
  },
  data(seed) {
    const items = (part: WorkloadPart) => pictureItems(seed, part, SIZES[part]);
    return {
      name: 'pictures',
      items: items('evaluation'),
      training: items('training'),
      calibration: items('calibration'),
      tuning: items('tuning'),
      preprocess: {
        kind: 'image',
        input: 'input',
        size: SIDE,
        resizeShorter: SIDE,
        scale: 255,
        mean: [0.45, 0.45, 0.45],
        std: [0.25, 0.25, 0.25],
      },
      postprocess: { kind: 'argmax', output: 'logits', classes: PICTURE_CLASSES.map(({ name }) => name) },
      metric: 'top1',
    };
  },
};
