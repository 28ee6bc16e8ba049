import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { trainableWeights } from '../onnx/grad/trainable.js';
import { inferValues } from '../onnx/infer.js';
import type { Model } from '../onnx/model.js';
import { writeModel } from '../onnx/write.js';
import { refuseLowPrecision } from './float-weights.js';
import { describeModel } from './model-files.js';
import type { Operator, OperatorContext } from './operator.js';
import { agreement } from './qat/agreement.js';
import { follow } from './qat/follow.js';
import { type QatOptions, trainSettings } from './qat/options.js';
import { trainedRanges } from './qat/ranges.js';
import { simulate } from './qat/simulate.js';
import { factorsOf, type Simulation } from './qat/simulation.js';
import { trainingWarnings, tuningFacts, tuningScore } from './qat/tuning-scores.js';
import { withWeights } from './qat/with-weights.js';
import { calibrate } from './quantise/calibrate.js';
import { checkInt8 } from './quantise/check-made.js';
import { countTypes, groupLeft } from './quantise/facts.js';
import { checkChoice } from './quantise/graph/choice.js';
import { NODE_TYPES } from './quantise/graph/node-types.js';
import { type Plan, planQuantisation } from './quantise/graph/plan.js';
import { writeQdq } from './quantise/graph/qdq.js';
import { writeQOperator } from './quantise/graph/qoperator.js';
import { View } from './quantise/graph/view.js';
import { guard } from './quantise/guard.js';
import { choiceSchema, weightSchema } from './quantise/options.js';
import { refuseNothing, sensitiveNodes } from './quantise/planned-nodes.js';
import { preparedFloat } from './quantise/prepared-float.js';
import type { Range } from './quantise/range.js';
import { int8Saturates } from './quantise/saturation.js';
import { defaultObjective } from './train/default-objective.js';
import { trainSettingsSchema } from './train/settings-schema.js';
import { train } from './train/train.js';
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
      method: { enum: ['minmax', 'percentile', 'entropy', 'mse'] },
      items: { type: 'integer', minimum: 1 },
      percentile: { type: 'number', exclusiveMinimum: 50, maximum: 100 },
      format: { enum: ['qdq', 'qoperator'] },
      activations: { enum: ['uint8', 'int8'] },
      maxDrop: { type: 'number', minimum: 0 },
      ...weightSchema,
      ...choiceSchema,
    },
    additionalProperties: false,
  },
  version: 1,
  after: refuseLowPrecision('qat'),

  reads: () => ['calibration', 'training', 'tuning'],

  async apply(variant, options, context) {
    const given = (options ?? {}) as QatOptions;
    const { maxDrop, activations = 'uint8', perChannel = true, reduceRange = false, format = 'qdq' } = given;
    refuseUntrained(context);
    const float = variant.stages[0] as StageModel;
    const { model, facts: preparation } = await preparedFloat(await wholeModel(variant, 'qat'), variant.name);
    const started = await simulated(model, given, context, variant.name);
    const { simulation, plan } = started;
    const path = join(context.outDir, 'model.onnx');
    const build = async (from: Model, excluded: ReadonlySet<string> = new Set()): Promise<StageModel> => {
      const quantised = await quantisedModel(model, from, started, { ...given, excluded });
      await writeModel(withRecipe(quantised, 'qat'), path);
      return describeModel(path);
    };
    const before = await tuningScore(float, context);
    const untrained = before && (await tuningScore(await build(simulation.model), context));
    const trained = await trainedSimulation(model, started, given, context);
    const guarded =
      maxDrop === undefined
        ? undefined
        : await guard({
            ...context,
            ...{ maxDrop, float, nodes: sensitiveNodes(plan), build: (excluded) => build(trained.model, excluded) },
            ...(before && { floatScore: before.value }),
          });
    const made = await build(trained.model, guarded?.excluded);
    const after = before && (await tuningScore(made, context));
    const tuning = tuningFacts(context, { float: before, untrained, trained: after });
    const { int8, warnings } = await checkInt8(made, context);
    const final = guarded ? await planOf(model, given, guarded.excluded) : plan;
    const ranges = trainedRanges(simulation, trained.model, activations);
    return [
      {
        name: variant.name,
        stages: [made],
        facts: {
          ...{ format, activations, perChannel, reduceRange, preparation, calibration: started.calibration },
          ranges: given.ranges ?? 'moving',
          training: trained.facts,
          curve: trained.curve,
          ...(tuning && { tuning }),
          ...(guarded ? { guard: guarded.facts } : { agreement: await agreement(trained.model, path, context) }),
          saturates: !reduceRange && (await int8Saturates()),
          quantised: countTypes([...final.nodes.values()].map(({ node }) => node)),
          left: groupLeft(final.left),
          int8,
          warnings: [...trainingWarnings(tuning), ...warnings],
          trainedRanges: Object.fromEntries([...ranges].map(([name, { min, max }]) => [name, [min, max]])),
        },
      },
    ];
  },
};

interface Started {
  readonly plan: Plan;
  readonly ranges: ReadonlyMap<string, Range>;
  readonly simulation: Simulation;
  readonly calibration: unknown;
}

/** The simulation of what `sptq` would make. */
async function simulated(model: Model, given: QatOptions, context: OperatorContext, name: string): Promise<Started> {
  const { workload, threads, progress, signal } = context;
  const { method = 'minmax', items = 200, percentile } = given;
  const types = await inferValues(model);
  checkChoice(given, new View(model, types), NODE_TYPES);
  const plan = await planOf(model, given);
  refuseNothing(plan, name, 'qat');
  const { ranges, facts } = await calibrate(model, plan.tensors, workload, {
    ...{ method, items, threads, progress, signal },
    ...(percentile !== undefined && { options: { percentile } }),
  });
  const { ranges: kind = 'moving', perChannel = true, reduceRange = false } = given;
  const dims = given.train?.dims ?? {};
  const simulation = simulate(plan, ranges, { ranges: kind, perChannel, reduceRange, types, dims });
  return { plan, ranges, simulation, calibration: facts };
}

async function planOf(model: Model, given: QatOptions, excluded: ReadonlySet<string> = new Set()): Promise<Plan> {
  const choice = { ...given, excludeNodes: [...(given.excludeNodes ?? []), ...excluded] };
  return planQuantisation(new View(model, await inferValues(model)), choice, given.activations ?? 'uint8');
}

/** The simulation with trained weights and ranges. */
async function trainedSimulation(
  model: Model,
  { plan, simulation }: Started,
  given: QatOptions,
  context: OperatorContext,
) {
  const { workload, threads, progress, signal, workDir } = context;
  const { activations = 'uint8', reduceRange = false, momentum = 0.99 } = given;
  const factors = factorsOf(simulation);
  const settings = trainSettings(given.train, factors);
  return train({
    ...{ model: simulation.model, workload, settings, threads, progress, signal, folder: workDir },
    objective: defaultObjective(workload, settings),
    plugins: [follow(simulation, plan.view, { activations, reduceRange, momentum })],
    weights: [...trainableWeights(model), ...factors],
    batchNorm: 'frozen',
  });
}

/** The int8 model of a simulation's weights and ranges, made as `sptq` makes its own. */
async function quantisedModel(
  model: Model,
  simulation: Model,
  { simulation: names }: Started,
  given: QatOptions & { readonly excluded: ReadonlySet<string> },
): Promise<Model> {
  const { activations = 'uint8', perChannel = true, reduceRange = false, format = 'qdq' } = given;
  const plan = await planOf(withWeights(model, simulation), given, given.excluded);
  const write = format === 'qdq' ? writeQdq : writeQOperator;
  return write(plan, trainedRanges(names, simulation, activations), { perChannel, reduceRange });
}

function refuseUntrained({ workload }: OperatorContext): void {
  if (workload.training.length > 0) return;
  throw new TierbedError('missing', `the workload '${workload.name}' has no training items, and qat trains`, {
    fix: 'Give it a part for training: `split: { training: 5000, ... }` in the workload; or use sptq, which needs none.',
  });
}
