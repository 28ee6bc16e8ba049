import { join } from 'node:path';
import { prepareModel } from '../onnx/passes/index.js';
import { writeModel } from '../onnx/write.js';
import { refuseLowPrecision } from './float-weights.js';
import { describeModel } from './model-files.js';
import type { Operator } from './operator.js';
import { CONSTANTS_FIRST } from './prune/constants-first.js';
import { speedWords, targetFacts } from './prune/facts.js';
import { makeStructured } from './prune/make-structured.js';
import { makeUnstructured } from './prune/make-unstructured.js';
import { measureWorth } from './prune/measure.js';
import { type PruneOptions, prunePlan, pruneSchema } from './prune/options.js';
import { PRESETS } from './prune/presets.js';
import { settingsFor } from './prune/with-training.js';
import { refuseQuantised } from './quantise/graph/refuse-quantised.js';
import type { StageModel } from './variant.js';
import { wholeModel, withRecipe } from './whole-model.js';

/**
 * Takes weights out: `structured` removes whole channels, neurons and attention heads, so that the model is smaller and
 * faster; `unstructured` sets single weights, or blocks of them, to zero, as the published study did.
 */
export const prune: Operator = {
  name: 'prune',
  summary: 'removes channels, neurons and heads, or sets weights to zero; and trains what is left',
  optionsSchema: pruneSchema,
  version: 1,
  after: refuseLowPrecision((stored) => `it needs float32 weights, and they are ${stored} by then`),
  reads: (options) => ((options as PruneOptions | null)?.train === false ? [] : ['training', 'tuning']),

  // What a preset teaches is named: a model that was made before presets taught is not taken for one that was taught.
  resolved(options) {
    const { preset, distill, train } = (options ?? {}) as PruneOptions;
    const taught = preset && Object.hasOwn(PRESETS, preset) && distill === undefined && train !== false;
    return taught ? { ...options, distill: PRESETS[preset].distill } : options;
  },

  check(options) {
    prunePlan(options as PruneOptions);
  },

  async apply(variant, options, context) {
    const plan = prunePlan(options as PruneOptions);
    const given = await wholeModel(variant, 'prune');
    refuseQuantised(given, variant.name);
    const { model } = await prepareModel(given, CONSTANTS_FIRST);
    const settings = settingsFor(plan, context);
    const excluded = (options as PruneOptions).exclude ?? [];
    const pruned =
      plan.kind === 'structured'
        ? await makeStructured(model, plan, settings, excluded, variant, context)
        : await makeUnstructured(model, plan, settings, excluded, variant.name, context);
    const path = join(context.outDir, 'model.onnx');
    await writeModel(withRecipe(pruned.model, 'prune'), path);
    const made = await describeModel(path);
    const worth = await measureWorth(variant.stages[0] as StageModel, made, context);
    const { kind, score, scope, sparsity } = plan;
    const target = plan.kind === 'structured' ? plan.target : undefined;
    const asked = target ? { target: targetFacts(target, worth) } : { sparsity };
    const says = speedWords(kind, pruned.zeros, worth);
    return [
      { name: variant.name, stages: [made], facts: { kind, score, scope, ...asked, ...pruned.facts, ...worth, says } },
    ];
  },
};
