// What bench:real-data makes of each workload: the operators of the published study, on small networks and few items.
import type { TrainSettings } from '../operators/train/types.js';
import type { Step } from '../operators/variant.js';
import { LENGTH, UNKNOWN, VOCABULARY } from './real-data-workloads.js';

export interface Recipe {
  readonly name: string;
  readonly steps: readonly Step[];
}

export interface RecipeSettings {
  readonly seed: number;
  /** Epochs in the place of those that are meant: for a try. */
  readonly epochs?: number;
}

const step = (operator: string, options: Step['options'] = {}): Step => ({ operator, options });

/** The operators on a network: how it is fine-tuned, what its student is and where it is cut. */
function operators(
  base: readonly Step[],
  parts: { readonly fine: TrainSettings; readonly student: Step; readonly prune: Step; readonly cut: Step },
): Recipe[] {
  const { fine, student, prune, cut } = parts;
  const sptq = step('sptq', { method: 'percentile' });
  return [
    { name: 'identity', steps: base },
    { name: 'sptq', steps: [...base, sptq] },
    { name: 'qat', steps: [...base, step('qat', { method: 'minmax', ranges: 'moving', train: fine })] },
    { name: 'prune', steps: [...base, prune] },
    { name: 'distill', steps: [...base, student] },
    { name: 'distill + sptq', steps: [...base, student, sptq] },
    { name: 'partition', steps: [...base, cut] },
    { name: 'sptq + partition', steps: [...base, sptq, cut] },
  ];
}

/** ResNet-56 and its student ResNet-20. */
export function pictureRecipes({ seed, epochs }: RecipeSettings): Recipe[] {
  const augment: TrainSettings['augment'] = [{ kind: 'crop', pad: 4 }, { kind: 'flip' }];
  const settings = (meant: number, rate: number): TrainSettings => ({
    ...{ epochs: epochs ?? meant, batch: 64, seed, augment },
    optimizer: { kind: 'sgd', rate, momentum: 0.9, weightDecay: 1e-4 },
    schedule: { kind: 'cosine', warmupSteps: 50 },
  });
  return operators([], {
    // The network knows these pictures by heart: what rounding changes is mended by small steps, and larger ones do harm.
    fine: {
      ...settings(1, 0),
      ...{ optimizer: { kind: 'adamw', rate: 1e-5, weightDecay: 0 }, schedule: { kind: 'cosine' } },
    },
    student: step('distill', {
      ...{ student: { zoo: 'resnet20' }, temperature: 4, alpha: 0.9, teacherSees: 'batch', train: settings(16, 0.05) },
    }),
    prune: step('prune', { kind: 'structured', sparsity: 0.3, train: settings(3, 0.02) }),
    cut: step('partition', { mode: 'balanced' }),
  });
}

/** The student of the pictures as the zoo builds it, for its first weights. */
export const PICTURE_STUDENT = { zoo: 'resnet20', options: { classes: 10, imageSize: 32 } };

const SMALL = { positions: LENGTH, layers: 2, hidden: 64, heads: 2, intermediate: 256 };
export const TEXT_STUDENT = { zoo: 'bert-tiny', options: { ...SMALL, classes: 2, vocabulary: VOCABULARY } };

/** A small BERT, trained here, and its student of half the layers and half the width. */
export function textRecipes({ seed, epochs }: RecipeSettings): Recipe[] {
  const settings = (meant: number, rate: number, warmupSteps = 100): TrainSettings => ({
    ...{ epochs: epochs ?? meant, batch: 32, seed, dims: { sequence: LENGTH } },
    augment: [{ kind: 'token-dropout', share: 0.15, token: UNKNOWN }],
    optimizer: { kind: 'adamw', rate, weightDecay: 0.01 },
    schedule: { kind: 'cosine', warmupSteps },
    clipNorm: 1,
  });
  return operators([step('train', { ...settings(5, 5e-4) })], {
    fine: settings(1, 2e-5, 0),
    student: step('distill', {
      ...{ student: { zoo: TEXT_STUDENT.zoo, options: SMALL }, temperature: 2, alpha: 0.5, train: settings(6, 1e-3) },
    }),
    prune: step('prune', { kind: 'structured', sparsity: 0.3, train: settings(2, 2e-4) }),
    cut: step('partition', { mode: 'balanced' }),
  });
}
