import { TierbedError } from '../base/errors.js';
import { GraphBuilder } from '../onnx/build.js';
import { cutModel } from '../onnx/cut.js';
import { itemBytes, itemValues, stageFigures } from '../onnx/inspect.js';
import type { Model } from '../onnx/model.js';
import { firstInputs } from '../workloads/prepared.js';
import { classificationOf } from './early-exit/classes.js';
import { addExit, type ExitHead, type FittedExits, fitExits } from './early-exit/fit.js';
import { type EarlyExitOptions, earlyExitSchema, isByWorkload, placesFor } from './early-exit/options.js';
import { type Exit, exitAt } from './early-exit/place.js';
import { reattached } from './early-exit/reattach.js';
import { chooseThresholds } from './early-exit/thresholds.js';
import { trainExits } from './early-exit/train.js';
import { refuseLowPrecision } from './float-weights.js';
import type { Operator, OperatorContext } from './operator.js';
import { itemDims } from './partition/item.js';
import { withOwnDequantize } from './partition/own-dequantize.js';
import { writeStage } from './stage-files.js';
import type { Facts, Made, StageModel, Variant } from './variant.js';
import { wholeModel, withRecipe } from './whole-model.js';

const NO_PARTITION = 'Leave partition out: a dynamic early exit cuts the model where its exits are.';

/**
 * Answers before the end of the model. `static`: the model is cut short for all requests. `dynamic`: it is cut into stages,
 * each but the last with an exit that answers when it is sure enough, as in BranchyNet (Teerapittayanon et al.,
 * arXiv:1709.01686) and, over a network, DDNN (arXiv:1709.01921).
 */
export const earlyExit: Operator = {
  name: 'early-exit',
  summary: 'answers before the end of the model: all requests, or those of which an exit is sure',
  optionsSchema: earlyExitSchema,
  version: 1,
  gives: (options) => ((options as unknown as EarlyExitOptions).kind === 'static' ? 'whole' : 'stages'),

  reads(options) {
    const { head = 'fit' } = options as unknown as EarlyExitOptions;
    if (head === 'reattach') return [];
    return head === 'train' ? ['training', 'tuning'] : ['calibration', 'tuning'];
  },

  after(previous, options) {
    const { head, trains } = options as unknown as EarlyExitOptions;
    if (head !== 'train' || trains !== 'all') return undefined;
    const misfit = refuseLowPrecision()(previous);
    return misfit && { ...misfit, fix: 'Train the heads alone: `trains: heads`.' };
  },

  check(options, workloads) {
    const { at, kind = 'dynamic', head = 'fit', ...rest } = options as unknown as EarlyExitOptions;
    const training = (['hidden', 'trains', 'train'] as const).find((key) => rest[key] !== undefined);
    if (head !== 'train' && training) {
      throw new TierbedError('invalid', `early-exit: \`${training}\` is for heads that are trained`, {
        fix: 'Write `head: train`, or leave it out.',
      });
    }
    if (head === 'reattach' && kind === 'dynamic') {
      throw new TierbedError('invalid', 'early-exit: `head: reattach` is for `kind: static`', {
        fix: "Leave `head` out: the exits of `dynamic` are fitted, so that a stage does not hold the model's end too.",
      });
    }
    const lists = isByWorkload(at) ? Object.values(at) : [at];
    if (kind === 'static' && lists.some((list) => typeof list !== 'string' && list.length > 1)) {
      throw new TierbedError('invalid', 'early-exit: a static exit is at one place', { fix: 'Give one tensor.' });
    }
    const threshold = (['confidence', 'maxDrop'] as const).find((key) => rest[key] !== undefined);
    if (kind === 'static' && threshold) {
      throw new TierbedError('invalid', `early-exit: \`${threshold}\` says when an exit is sure enough to answer`, {
        fix: 'Leave it out: a static exit answers all requests.',
      });
    }
    const unknown = isByWorkload(at) ? Object.keys(at).find((name) => !workloads.includes(name)) : undefined;
    if (unknown === undefined) return;
    throw new TierbedError('invalid', `early-exit.at names the workload '${unknown}', which the study has not`, {
      fix: `Use one of: ${workloads.join(', ')}; or give one list of places for all.`,
    });
  },

  async apply(variant, options, context) {
    const chosen = options as unknown as EarlyExitOptions;
    const places = placesFor(chosen, context.workload.name);
    if (!places) return [];
    classificationOf(context.workload);
    const whole = await wholeModel(variant, 'early-exit', NO_PARTITION);
    const model = withOwnDequantize(withRecipe(whole, 'early-exit'));
    const item = await firstInputs(context.workload, 'evaluation', context.signal);
    const dims = itemDims(model, item);
    const values = await itemValues(model, dims);
    if (chosen.head === 'reattach') {
      const at = places[0]?.[0] as string;
      const { model: short, from } = await reattached(model, at, values);
      const { sides } = await stageFigures(model, await cutModel(model, [[at]]), dims);
      const stages = [await writeStage(short, context.outDir, 'model')];
      const facts = { kind: 'static', at, head: 'reattach', headFrom: from, macsShare: share(sides) };
      return [{ ...variant, stages, facts }];
    }
    const exits = places.map((place) => exitAt(model, place, values));
    const { model: final, fitted, facts: taught } = await headsOf(model, exits, chosen, context, variant);
    const models = await cutModel(
      final,
      exits.map(({ cut }) => cut.tensors),
    );
    const { sides, values: cutValues } = await stageFigures(final, models, dims);
    const fitPart = chosen.head === 'train' ? 'training' : 'calibration';
    const shared = {
      ...{ head: chosen.head ?? 'fit', ...taught },
      items: { [fitPart]: fitted.fit.right.length, tuning: fitted.tune.right.length },
      unreadable: [...fitted.fit.unreadable, ...fitted.tune.unreadable],
    };
    if (chosen.kind === 'static') {
      const [exit, head] = [exits[0] as Exit, fitted.heads[0] as ExitHead];
      const stages = [
        await writeStage(cutShort(models[0] as Model, model, exit, head, context), context.outDir, 'model'),
      ];
      const facts = { kind: 'static', at: exit.tensor, macsShare: share(sides), ...shared, ...headFacts(head) };
      return [{ ...variant, stages, facts }];
    }
    const made = await dynamic(variant, models, exits, fitted, chosen, context);
    const crossing = exits.map(({ cut }) => ({ tensors: cut.tensors, bytes: itemBytes(cut.tensors, cutValues) }));
    const stageShares = sides.map((_, i) => share(sides, i));
    return [{ ...made, facts: { kind: 'dynamic', ...made.facts, crossing, stageMacsShares: stageShares, ...shared } }];
  },
};

/** The heads, fitted and trained where that is wanted, and the model that they are of. */
async function headsOf(
  model: Model,
  exits: readonly Exit[],
  chosen: EarlyExitOptions,
  context: OperatorContext,
  { steps }: Variant,
): Promise<{ readonly model: Model; readonly fitted: FittedExits; readonly facts: Facts }> {
  const fitted = await fitExits(model, exits, chosen, context);
  if (chosen.head !== 'train') return { model, fitted, facts: {} };
  const pruned = steps.some(({ operator }) => operator === 'prune');
  return trainExits(model, exits, fitted, chosen, context, pruned);
}

/** Stages that each end in what crosses, with the exit's scores beside it. */
async function dynamic(
  variant: Variant,
  models: readonly Model[],
  exits: readonly Exit[],
  { heads, trials, last }: FittedExits,
  { confidence = 'max-probability', maxDrop = 1 }: EarlyExitOptions,
  { workload, outDir }: OperatorContext,
): Promise<Made> {
  const { output } = classificationOf(workload);
  const choice = chooseThresholds(trials, last, maxDrop / 100);
  const stages: StageModel[] = [];
  for (const [i, model] of models.entries()) {
    const [exit, head] = [exits[i], heads[i]];
    if (!exit || !head) {
      stages.push(await writeStage(model, outDir, `stage-${i}`));
      continue;
    }
    const g = GraphBuilder.from(model);
    const scores = addExit(g, exit, head, `tierbed.exit${i}`);
    g.output(scores, 'float32', ['N', head.head.bias.length]);
    const stage = await writeStage(g.build(), outDir, `stage-${i}`);
    stages.push({
      ...stage,
      exit: { scores, answer: output, confidence, threshold: choice.thresholds[i] as number },
    });
  }
  const facts = {
    maxDrop,
    confidence,
    exits: exits.map((exit, i) => ({
      at: exit.tensor,
      threshold: choice.thresholds[i],
      ...headFacts(heads[i] as ExitHead),
      tuningShare: choice.shares[i],
    })),
    tuning: { accuracy: choice.accuracy, fullAccuracy: choice.fullAccuracy, n: last.length },
  };
  return { ...variant, stages, facts };
}

/** The first stage with an exit's head as its end, which answers as the whole model does. */
function cutShort(front: Model, whole: Model, exit: Exit, head: ExitHead, { workload }: OperatorContext): Model {
  const { output } = classificationOf(workload);
  const g = GraphBuilder.from({ ...front, graph: { ...front.graph, outputs: [] } });
  const scores = addExit(g, exit, head, 'tierbed.exit');
  const named = g.node('Identity', [scores], {}, output);
  g.output(named, 'float32', [whole.graph.outputs[0]?.type.kind === 'tensor' ? 'N' : undefined, head.head.bias.length]);
  return g.build();
}

function headFacts({ form, lambda, hidden, accuracy }: ExitHead) {
  return {
    ...{ features: form.name, featureCount: form.count },
    ...(lambda !== undefined && { lambda }),
    ...(hidden && { hidden: hidden.bias.length }),
    tuningAccuracy: accuracy,
  };
}

/** The share of the multiply-accumulates that stage `at` has; null when they are not known. */
function share(sides: readonly { readonly macs: number | null }[], at = 0): number | null {
  const total = sides.reduce((sum, { macs }) => sum + (macs ?? Number.NaN), 0);
  const macs = sides[at]?.macs ?? null;
  return macs === null || !(total > 0) ? null : Math.round((1000 * macs) / total) / 1000;
}
