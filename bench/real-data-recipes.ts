// What bench:real-data makes of each workload: the operators of the published study, on small networks and few items.
import type { TrainSettings } from '../operators/train/types.js';
import type { Step } from '../operators/variant.js';
import { LENGTH } from './real-data-workloads.js';

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
    { name: 'qat', steps: [...base, step('qat', { method: 'percentile', train: fine })] },
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
    fine: settings(3, 0.001),
    student: step('distill', {
      ...{ student: { zoo: 'resnet20' }, temperature: 4, alpha: 0.9, teacherSees: 'batch', train: settings(60, 0.1) },
    }),
    prune: step('prune', { kind: 'structured', sparsity: 0.3, train: settings(20, 0.02) }),
    cut: step('partition', { mode: 'balanced' }),
  });
}

/** A small BERT, trained here, and its student of half the layers. */
export function textRecipes({ seed, epochs }: RecipeSettings): Recipe[] {
  const settings = (meant: number, rate: number): TrainSettings => ({
    ...{ epochs: epochs ?? meant, batch: 32, seed, dims: { sequence: LENGTH } },
    optimizer: { kind: 'adamw', rate, weightDecay: 0.01 },
    schedule: { kind: 'cosine', warmupSteps: 100 },
    clipNorm: 1,
  });
  return operators([step('train', { train: { ...settings(8, 5e-4), patience: 3 } })], {
    fine: settings(2, 5e-5),
    student: step('distill', { student: { zoo: 'bert-tiny' }, temperature: 2, alpha: 0.5, train: settings(8, 5e-4) }),
    prune: step('prune', { kind: 'structured', sparsity: 0.3, train: settings(4, 2e-4) }),
    cut: step('partition', { mode: 'balanced' }),
  });
}
