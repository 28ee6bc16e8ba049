import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { DATA_TYPE, type Model } from '../onnx/model.js';
import { constantFolding } from '../onnx/passes/constant-folding.js';
import { constantInputs } from '../onnx/passes/constant-inputs.js';
import { constantNodes } from '../onnx/passes/constant-nodes.js';
import { deadCode } from '../onnx/passes/dead-code.js';
import { prepareModel } from '../onnx/passes/index.js';
import { writeModel } from '../onnx/write.js';
import { partOf } from '../workloads/prepared.js';
import { refuseLowPrecision } from './float-weights.js';
import { describeModel } from './model-files.js';
import type { Operator, OperatorContext } from './operator.js';
import { groupFacts, speedWords, stayingFacts, zeroFacts } from './prune/facts.js';
import { type Grouping, type PruningGroup, pruningGroups } from './prune/groups.js';
import { measureWorth } from './prune/measure.js';
import type { PruneMethod } from './prune/method.js';
import { type PruneOptions, type PrunePlan, prunePlan, pruneSchema } from './prune/options.js';
import { prunePlugin } from './prune/plugin.js';
import { removeUnits } from './prune/remove.js';
import { Structured, type UnitWeight, unitsToRemove } from './prune/structured.js';
import { Unstructured } from './prune/unstructured.js';
import { layerWeights, weightArrays, withWeights } from './prune/weights.js';
import { refuseQuantised } from './quantise/graph/refuse-quantised.js';
import { defaultObjective } from './train/default-objective.js';
import { fitsPattern, fitting } from './train/name-patterns.js';
import { train } from './train/train.js';
import type { TrainPlugin, TrainSettings } from './train/types.js';
import type { StageModel } from './variant.js';
import { wholeModel, withRecipe } from './whole-model.js';

type StructuredPlan = Extract<PrunePlan, { kind: 'structured' }>;
type UnstructuredPlan = Extract<PrunePlan, { kind: 'unstructured' }>;

/** A model that was pruned, and what is to be said of it. */
interface Pruned {
  readonly model: Model;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly zeros?: number;
}

/**
 * Takes weights out: `structured` removes whole channels, neurons and attention heads, so that the model is smaller and
 * faster; `unstructured` sets single weights, or blocks of them, to zero, as the published study did.
 */
export const prune: Operator = {
  name: 'prune',
  summary: 'removes channels, neurons and heads, or sets weights to zero; and trains what is left',
  optionsSchema: pruneSchema,
  version: 1,
  after: refuseLowPrecision('prune', (stored) => `it needs float32 weights, and they are ${stored} by then`),
  reads: (options) => ((options as PruneOptions | null)?.train === false ? [] : ['training', 'tuning']),

  check(options) {
    prunePlan(options as PruneOptions);
  },

  async apply(variant, options, context) {
    const plan = prunePlan(options as PruneOptions);
    const given = await wholeModel(variant, 'prune');
    refuseQuantised(given, variant.name);
    const { model } = await prepareModel(given, [constantInputs, constantNodes, deadCode, constantFolding, deadCode]);
    const settings = settingsFor(plan, context);
    const named = (options as PruneOptions).exclude ?? [];
    const pruned =
      plan.kind === 'structured'
        ? await removed(model, plan, settings, named, variant.name, context)
        : await zeroed(model, plan, settings, named, variant.name, context);
    const path = join(context.outDir, 'model.onnx');
    await writeModel(withRecipe(pruned.model, 'prune'), path);
    const made = await describeModel(path);
    const worth = await measureWorth(variant.stages[0] as StageModel, made, context);
    const { kind, score, scope, sparsity } = plan;
    return [
      {
        name: variant.name,
        stages: [made],
        facts: { kind, score, scope, sparsity, ...pruned.facts, ...worth, says: speedWords(kind, pruned.zeros, worth) },
      },
    ];
  },
};

/** How to train; undefined when nothing is trained. */
function settingsFor({ train: told, score }: PrunePlan, { workload }: OperatorContext): TrainSettings | undefined {
  const items = partOf(workload, 'training').length;
  if (told && items === 0) {
    throw new TierbedError('invalid', `prune.train: ${workload.name} has no training part`, {
      fix: 'Give its data a training part; or set `train: false`, which prunes at once and trains nothing.',
    });
  }
  const settings = told === undefined && items > 0 && workload.postprocess.kind !== 'digest' ? {} : told || undefined;
  if (settings || (score !== 'taylor' && score !== 'snip-momentum')) return settings;
  throw new TierbedError('invalid', `prune: \`score: ${score}\` comes from gradients, and nothing is trained`, {
    fix: `Train, which takes a training part; or use \`score: ${score === 'taylor' ? 'l2' : 'magnitude'}\`.`,
  });
}

/** Why nothing was trained, for the facts. */
const UNTRAINED = 'none: pruned at once, and what is left was not trained';

/**
 * Prunes while training where there are settings, else at once.
 *
 * @returns the model, its weights pruned to zero, and what training says of itself
 */
async function pruneWeights(
  model: Model,
  method: PruneMethod,
  plan: PrunePlan,
  weights: ReadonlySet<string>,
  settings: TrainSettings | undefined,
  context: OperatorContext,
): Promise<{ readonly model: Model; readonly training: unknown }> {
  if (!settings) {
    const arrays = weightArrays(model, weights);
    method.advance(plan.sparsity, arrays);
    method.zero(arrays);
    return { model: withWeights(model, arrays), training: UNTRAINED };
  }
  const { train: _, ...identity } = plan;
  const plugin = prunePlugin(method, plan.schedule, plan.sparsity, JSON.stringify(identity));
  return trained(model, [plugin], plan, settings, context);
}

async function trained(
  model: Model,
  plugins: readonly TrainPlugin[],
  { batchNorm }: PrunePlan,
  settings: TrainSettings,
  { workload, threads, workDir, progress, signal }: OperatorContext,
): Promise<{ readonly model: Model; readonly training: unknown }> {
  const result = await train({
    ...{ model, workload, settings, plugins, batchNorm, threads, progress, signal },
    ...{ objective: defaultObjective(workload, settings), folder: workDir },
  });
  return { model: result.model, training: { ...result.facts, curve: result.curve } };
}

async function zeroed(
  model: Model,
  plan: UnstructuredPlan,
  settings: TrainSettings | undefined,
  named: readonly string[],
  name: string,
  context: OperatorContext,
): Promise<Pruned> {
  const all = layerWeights(model);
  const left = leftOut(
    all.map((weight) => weight.name),
    plan.exclude,
    named,
  );
  const chosen = all.filter((weight) => !left.has(weight.name));
  if (chosen.length === 0) {
    throw new TierbedError('invalid', `${name} has no float32 weights of convolutions or linear layers to prune`, {
      fix: all.length > 0 ? 'Exclude less.' : 'Export the model with its weights as float32 constants.',
    });
  }
  const method = new Unstructured(chosen, plan);
  const names = new Set(chosen.map((weight) => weight.name));
  const pruned = await pruneWeights(model, method, plan, names, settings, context);
  const { reached, ...rest } = zeroFacts(pruned.model, chosen);
  return {
    model: pruned.model,
    zeros: reached,
    facts: { pattern: plan.patternText, reached, ...rest, leftOut: [...left], training: pruned.training },
  };
}

async function removed(
  model: Model,
  plan: StructuredPlan,
  settings: TrainSettings | undefined,
  named: readonly string[],
  name: string,
  context: OperatorContext,
): Promise<Pruned> {
  const grouping = await pruningGroups(model);
  const left = leftOut(
    grouping.model.graph.initializers.map((each) => each.name),
    plan.exclude,
    named,
  );
  const groups = grouping.groups.filter(
    ({ kind, units, axes }) =>
      plan.units.includes(kind) && units.length > 1 && !axes.some(({ tensor }) => left.has(tensor)),
  );
  refuseImpossible(grouping, groups, plan, name);
  const weights = unitWeights(grouping.model, groups);
  refuseWithoutScores(groups, weights, plan);
  const method = new Structured(groups, weights, plan);
  const names = new Set(weights.keys());
  // What a normalisation says changes when features go: it is the model without them that must be trained.
  const first = plan.schedule.shape === 'once' || groups.some(({ changes }) => changes !== undefined);
  let made: Model;
  let training: unknown;
  if (first && settings && !method.needsGradients) {
    await pruneWeights(grouping.model, method, plan, names, undefined, context);
    const result = await trained(await removeUnits(grouping, method.gone), [], plan, settings, context);
    made = result.model;
    training = result.training;
  } else {
    const pruned = await pruneWeights(grouping.model, method, plan, names, settings, context);
    made = await removeUnits({ ...grouping, model: pruned.model }, method.gone);
    training = pruned.training;
  }
  const { reached, groups: rows } = groupFacts(groups, method.gone);
  const stays = stayingFacts(grouping.stays);
  return { model: made, facts: { reached, groups: rows, stays, leftOut: [...left], training } };
}

/** The weights that patterns leave out. Those of presets may fit none. */
function leftOut(names: readonly string[], patterns: readonly string[], named: readonly string[]): ReadonlySet<string> {
  fitting(names, named, 'prune.exclude');
  return new Set(names.filter((name) => patterns.some((pattern) => fitsPattern(name, pattern))));
}

/** @throws TierbedError `invalid` when there is nothing to remove, or too little would be left */
function refuseImpossible(
  { groups: all, stays }: Grouping,
  groups: readonly PruningGroup[],
  plan: StructuredPlan,
  name: string,
): void {
  if (groups.length === 0) {
    const kinds = [...new Set(all.map(({ kind }) => kind))].join(', ');
    const reasons = [...new Set(stays.map(({ reason }) => reason))].slice(0, 3).join('; ');
    throw new TierbedError('invalid', `${name} has no ${plan.units.join(', ')} that can be removed (${reasons})`, {
      fix: kinds ? `It has ${kinds}: name them in \`units\`, or exclude less.` : 'Use `kind: unstructured`.',
    });
  }
  const { sparsity, atLeast, scope } = plan;
  const total = groups.reduce((sum, { units }) => sum + units.length, 0);
  if (scope === 'layer') {
    const rows = groups.map(({ name: group, kind, units }) => {
      return { group, kind, units: units.length, gone: unitsToRemove(units.length, sparsity, plan) };
    });
    const short = rows.filter(({ units, gone }) => units - gone < atLeast);
    if (short.length > 0) {
      const [{ group, kind, units, gone }] = short as [(typeof rows)[number]];
      throw new TierbedError(
        'invalid',
        `prune: a sparsity of ${sparsity} leaves ${units - gone} of ${units} ${kind} of ${group}, and ${atLeast} must stay${short.length > 1 ? `; and so of ${short.length - 1} more` : ''}`,
        { fix: 'Ask for less, lower `atLeast`, exclude its weights, or set `scope: global`.' },
      );
    }
    if (rows.some(({ gone }) => gone > 0)) return;
  } else {
    const most = groups.reduce((sum, { units }) => sum + Math.max(0, units.length - atLeast), 0);
    const wanted = Math.floor(sparsity * total);
    if (wanted > most) {
      throw new TierbedError(
        'invalid',
        `prune: ${wanted} of ${total} units would go, and no more than ${most} can: ${atLeast} of each group must stay`,
        { fix: 'Ask for less, or lower `atLeast`.' },
      );
    }
    if (wanted > 0) return;
  }
  throw new TierbedError(
    'invalid',
    `prune: a sparsity of ${sparsity} removes no unit of ${name}: its groups are too small`,
    {
      fix: 'Ask for more, or lower `multipleOf`.',
    },
  );
}

function unitWeights({ graph }: Model, groups: readonly PruningGroup[]): ReadonlyMap<string, UnitWeight> {
  const scales = new Set(
    graph.nodes.flatMap(({ opType, inputs }) => (opType === 'BatchNormalization' ? [inputs[1] as string] : [])),
  );
  const touched = new Set(groups.flatMap(({ axes }) => axes.map(({ tensor }) => tensor)));
  return new Map(
    graph.initializers
      .filter(({ name, dataType }) => touched.has(name) && dataType === DATA_TYPE.float32)
      .map(({ name, dims }) => [name, { dims, bnScale: scales.has(name) }]),
  );
}

/** @throws TierbedError `invalid` when a group has nothing that the score is made of */
function refuseWithoutScores(
  groups: readonly PruningGroup[],
  weights: ReadonlyMap<string, UnitWeight>,
  { score }: StructuredPlan,
): void {
  const wanted = score === 'bn-scale' ? 'scale of a BatchNormalization' : 'float32 weight';
  const without = groups.find(
    ({ axes }) =>
      !axes.some(({ tensor }) => {
        const weight = weights.get(tensor);
        return weight && (score === 'bn-scale' ? weight.bnScale : weight.dims.length > 1);
      }),
  );
  if (!without) return;
  throw new TierbedError('invalid', `prune: the ${without.kind} of ${without.name} have no ${wanted}`, {
    fix: score === 'bn-scale' ? 'Use `score: l2`.' : 'Export the model in float32.',
  });
}
