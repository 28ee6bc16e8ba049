import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import type { Model } from '../onnx/model.js';
import { writeModel } from '../onnx/write.js';
import { refuseLowPrecision } from './float-weights.js';
import { describeModel } from './model-files.js';
import type { Operator, OperatorContext } from './operator.js';
import { agreement } from './qat/agreement.js';
import { learn } from './qat/learn.js';
import type { QatOptions } from './qat/options.js';
import { trainedRanges } from './qat/ranges.js';
import { planOf, quantisedModel, startOf } from './qat/start.js';
import { trainingWarnings, tuningFacts, tuningScore } from './qat/tuning-scores.js';
import { checkInt8 } from './quantise/check-made.js';
import { countTypes, groupLeft } from './quantise/facts.js';
import { guard } from './quantise/guard.js';
import { checkStatic, staticSchema } from './quantise/options.js';
import { sensitiveNodes } from './quantise/planned-nodes.js';
import { preparedFloat } from './quantise/prepared-float.js';
import { int8Saturates } from './quantise/saturation.js';
import { trainSettingsSchema } from './train/settings-schema.js';
import type { StageModel } from './variant.js';
import { wholeModel, withRecipe } from './whole-model.js';

/** Quantisation-aware training: `sptq`, whose weights and ranges are then trained with the rounding that they will have. */
export const qat: Operator = {
  name: 'qat',
  summary: 'weights and activations in int8, trained with the rounding that they will have',
  optionsSchema: {
    type: ['object', 'null'],
    properties: {
      ranges: { enum: ['moving', 'learned', 'fixed'] },
      momentum: { type: 'number', minimum: 0, exclusiveMaximum: 1 },
      train: trainSettingsSchema,
      ...staticSchema,
    },
    additionalProperties: false,
  },
  version: 2,
  after(previous) {
    const misfit = refuseLowPrecision()(previous);
    if (!misfit || previous.at(-1)?.operator !== 'sptq') return misfit;
    const recipe = [...previous.slice(0, -1).map(({ operator }) => operator), 'qat'].join('+');
    return { ...misfit, fix: `Write \`${recipe}\`: qat starts from sptq's ranges by itself.` };
  },

  reads: () => ['calibration', 'training', 'tuning'],

  check(options) {
    const { momentum, ranges = 'moving' } = (options ?? {}) as QatOptions;
    checkStatic('qat', (options ?? {}) as QatOptions);
    if (momentum === undefined || ranges === 'moving') return;
    throw new TierbedError(
      'invalid',
      `qat.momentum is for averages of ranges, and with \`ranges: ${ranges}\` there are none`,
      {
        fix: 'Leave `momentum` out, or set `ranges: moving`.',
      },
    );
  },

  async apply(variant, options, context) {
    const given = (options ?? {}) as QatOptions;
    const { format = 'qdq', activations = 'uint8', perChannel = true, reduceRange = false, maxDrop } = given;
    const { ranges = 'moving' } = given;
    refuseUntrained(context);
    const float = variant.stages[0] as StageModel;
    const { model, facts: preparation } = await preparedFloat(await wholeModel(variant, 'qat'), variant.name);
    const start = await startOf(model, given, context, variant.name);
    const { simulation, calibration } = start;
    const path = join(context.outDir, 'model.onnx');
    const build = async (weights: Model, excluded?: ReadonlySet<string>): Promise<StageModel> => {
      await writeModel(withRecipe(await quantisedModel(start, weights, given, excluded), 'qat'), path);
      return describeModel(path);
    };
    const before = await tuningScore(float, context);
    const untrained = before && (await tuningScore(await build(simulation.model), context));
    const pruned = variant.steps.some(({ operator }) => operator === 'prune');
    const trained = await learn(start, given, pruned, context);
    const guarded =
      maxDrop === undefined
        ? undefined
        : await guard({
            ...{ ...context, maxDrop, float, nodes: sensitiveNodes(start.plan) },
            build: (excluded) => build(trained.model, excluded),
            ...(before && { floatScore: before.value }),
          });
    const made = await build(trained.model, guarded?.excluded);
    const after = before && (await tuningScore(made, context));
    const tuning = tuningFacts(context, { float: before, untrained, trained: after });
    const { int8, warnings } = await checkInt8(made, context);
    const final = await planOf(model, given, guarded?.excluded);
    // What went back to float is rounded in the simulation: the two are not meant to agree.
    const whole = !guarded || guarded.excluded.size === 0;
    return [
      {
        name: variant.name,
        stages: [made],
        facts: {
          ...{ format, activations, perChannel, reduceRange, ranges, preparation, calibration },
          training: trained.facts,
          ...(tuning && { tuning }),
          ...(guarded && { guard: guarded.facts }),
          ...(whole && { agreement: await agreement(trained.model, path, context) }),
          saturates: !reduceRange && (await int8Saturates()),
          quantised: countTypes([...final.nodes.values()].map(({ node }) => node)),
          left: groupLeft(final.left),
          int8,
          warnings: [...trainingWarnings(tuning), ...warnings],
          trainedRanges: Object.fromEntries(
            [...trainedRanges(simulation, trained.model, activations)].map(([name, { min, max }]) => [
              name,
              [min, max],
            ]),
          ),
        },
      },
    ];
  },
};

function refuseUntrained({ workload }: OperatorContext): void {
  if (workload.training.length > 0) return;
  throw new TierbedError('missing', `the workload '${workload.name}' has no training items, and qat trains`, {
    fix: 'Give it a part for training: `split: { training: 5000, ... }` in the workload; or use sptq, which needs none.',
  });
}
