import { refuseLowPrecision } from './float-weights.js';
import type { Operator } from './operator.js';
import { writeStage } from './stage-files.js';
import { chosenWeights } from './train/chosen-weights.js';
import { defaultObjective } from './train/default-objective.js';
import { keepZeros } from './train/keep-zeros.js';
import { trainSettingsProperties } from './train/settings-schema.js';
import { train as trainModel } from './train/train.js';
import type { TrainSettings } from './train/types.js';
import { wholeModel, withRecipe } from './whole-model.js';

interface TrainOptions extends TrainSettings {
  /** Whether BatchNormalization takes its batch's statistics, the default, or stays as it is. */
  readonly batchNorm?: 'batch' | 'frozen';
}

/** Trains the workload's model, or what a recipe made of it so far, on the training part. */
export const train: Operator = {
  name: 'train',
  summary: 'trains the model, or goes on training it, on the training part',
  optionsSchema: {
    type: ['object', 'null'],
    properties: { ...trainSettingsProperties, batchNorm: { enum: ['batch', 'frozen'] } },
    additionalProperties: false,
  },
  version: 1,
  after: refuseLowPrecision(),
  reads: () => ['training', 'tuning'],

  async apply(variant, options, { workload, outDir, workDir, threads, progress, signal }) {
    const { batchNorm = 'batch', ...settings } = (options ?? {}) as TrainOptions;
    const model = await wholeModel(variant, 'train');
    const pruned = variant.steps.some(({ operator }) => operator === 'prune');
    const weights = chosenWeights(model, undefined, settings.freeze ?? []);
    const trained = await trainModel({
      ...{ model, workload, settings, batchNorm, threads, folder: workDir, progress, signal },
      objective: defaultObjective(workload, settings),
      plugins: pruned ? [keepZeros(model, weights)] : [],
    });
    const stage = await writeStage(withRecipe(trained.model, 'train'), outDir, 'model');
    return [{ name: variant.name, stages: [stage], facts: { batchNorm, ...trained.facts } }];
  },
};
