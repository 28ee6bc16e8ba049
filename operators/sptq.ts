import { join } from 'node:path';
import { inferValues } from '../onnx/infer.js';
import { writeModel } from '../onnx/write.js';
import { describeModel } from './model-files.js';
import type { Operator } from './operator.js';
import { calibrate } from './quantise/calibrate.js';
import { checkMade } from './quantise/check-made.js';
import { countTypes, groupLeft } from './quantise/facts.js';
import { checkChoice } from './quantise/graph/choice.js';
import { NODE_TYPES } from './quantise/graph/node-types.js';
import { type Plan, planQuantisation } from './quantise/graph/plan.js';
import { writeQdq } from './quantise/graph/qdq.js';
import { writeQOperator } from './quantise/graph/qoperator.js';
import { View } from './quantise/graph/view.js';
import { guard } from './quantise/guard.js';
import { checkStatic, type SptqOptions, staticSchema } from './quantise/options.js';
import { refuseNothing, sensitiveNodes } from './quantise/planned-nodes.js';
import { preparedFloat } from './quantise/prepared-float.js';
import { int8Saturates } from './quantise/saturation.js';
import { refuseSmallerWeights } from './smaller-weights.js';
import type { StageModel } from './variant.js';
import { wholeModel, withRecipe } from './whole-model.js';

/** Static post-training quantisation: int8 weights, and activations whose ranges are found on the calibration part. */
export const sptq: Operator = {
  name: 'sptq',
  summary: 'weights and activations in int8, with ranges from the calibration part',
  optionsSchema: {
    type: ['object', 'null'],
    properties: {
      ...staticSchema,
    },
    additionalProperties: false,
  },
  version: 2,
  after: refuseSmallerWeights,

  check(options) {
    checkStatic('sptq', (options ?? {}) as SptqOptions);
  },
  reads: (options) => (options?.maxDrop === undefined ? ['calibration'] : ['calibration', 'tuning']),

  async apply(variant, options, context) {
    const { outDir, workload, threads, progress, signal } = context;
    const given = (options ?? {}) as SptqOptions;
    const { method = 'minmax', items = 200, activations = 'uint8', percentile, maxDrop } = given;
    const { format = 'qdq', perChannel = true, reduceRange = false } = given;
    const { model, facts } = await preparedFloat(await wholeModel(variant, 'sptq'), variant.name);
    const view = new View(model, await inferValues(model));
    checkChoice(given, view, NODE_TYPES);
    const plan = planQuantisation(view, given, activations);
    refuseNothing(plan, variant.name, 'sptq');
    const { ranges, facts: calibration } = await calibrate(model, plan.tensors, workload, {
      ...{ method, items, threads, progress, signal },
      ...(percentile !== undefined && { options: { percentile } }),
    });
    const path = join(outDir, 'model.onnx');
    const write = format === 'qdq' ? writeQdq : writeQOperator;
    const build = async (chosen: Plan): Promise<StageModel> => {
      await writeModel(withRecipe(write(chosen, ranges, { perChannel, reduceRange }), 'sptq'), path);
      return describeModel(path);
    };
    const without = (excluded: ReadonlySet<string>): Plan =>
      planQuantisation(view, { ...given, excludeNodes: [...(given.excludeNodes ?? []), ...excluded] }, activations);
    const guarded =
      maxDrop === undefined
        ? undefined
        : await guard({
            ...{ workload, maxDrop, threads, progress, signal, nodes: sensitiveNodes(plan) },
            float: variant.stages[0] as StageModel,
            build: (excluded) => build(without(excluded)),
          });
    const final = guarded ? without(guarded.excluded) : plan;
    const made = await build(final);
    const checked = await checkMade(variant.stages[0] as StageModel, made, context);
    return [
      {
        name: variant.name,
        stages: [made],
        facts: {
          ...{ format, activations, perChannel, reduceRange, preparation: facts, calibration },
          saturates: !reduceRange && (await int8Saturates()),
          quantised: countTypes([...final.nodes.values()].map(({ node }) => node)),
          left: groupLeft(
            final.left.map((node) => (guarded?.excluded.has(node.name) ? { ...node, reason: GUARDED } : node)),
          ),
          ...(guarded && { guard: guarded.facts }),
          ...checked,
          ranges: Object.fromEntries([...ranges].map(([name, { min, max }]) => [name, [min, max]])),
        },
      },
    ];
  },
};

const GUARDED = 'maxDrop does not hold with it in int8';
