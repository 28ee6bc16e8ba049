import { TierbedError } from '../base/errors.js';
import { cutModel } from '../onnx/cut.js';
import { itemBytes, stageFigures } from '../onnx/inspect.js';
import type { Model } from '../onnx/model.js';
import { firstInputs } from '../workloads/prepared.js';
import type { Operator } from './operator.js';
import { balanced } from './partition/balanced.js';
import type { Choice, Chosen } from './partition/chosen.js';
import { withEncodings } from './partition/encoded.js';
import { int8Twin, type Moved } from './partition/int8-twin.js';
import { itemDims } from './partition/item.js';
import { narrowest } from './partition/narrowest.js';
import {
  type CutPlan,
  calibrates,
  cutEncodings,
  cutPlan,
  isCutList,
  type PartitionOptions,
  partitionSchema,
} from './partition/options.js';
import { withOwnDequantize } from './partition/own-dequantize.js';
import { paper } from './partition/paper.js';
import { writeStage } from './stage-files.js';
import type { Facts, StageModel } from './variant.js';
import { wholeModel } from './whole-model.js';

const ONE_PARTITION = 'Name all cuts in one partition: `partition: { at: [FIRST, SECOND] }`.';

/** Cuts the model into stages: at named tensors, or where a rule finds the place. */
export const partition: Operator = {
  name: 'partition',
  summary: 'cuts the model into stages, at named tensors or where a rule finds the place',
  optionsSchema: partitionSchema,
  version: 2,

  reads(options) {
    const { mode } = cutPlan(options as PartitionOptions);
    return [
      // Sizes of an item decide what crosses a cut and what a stage costs.
      ...(mode === 'narrowest' || mode === 'balanced' ? (['evaluation'] as const) : []),
      ...(calibrates(options as PartitionOptions) ? (['calibration'] as const) : []),
    ];
  },
  gives: () => 'stages',

  after(previous) {
    if (!previous.some(({ operator }) => operator === 'partition')) return undefined;
    return {
      reason: 'it cuts a whole model, and the partition before it has cut it already',
      fix: 'Name all cuts in one partition: `partition: { at: [FIRST, SECOND] }`.',
    };
  },

  check(options, workloads) {
    const plan = cutPlan(options as PartitionOptions);
    cutEncodings((options as PartitionOptions).encoding, cutCount(plan));
    if (plan.mode !== 'at' || isCutList(plan.cuts)) return;
    const unknown = Object.keys(plan.cuts).find((name) => !workloads.includes(name));
    if (unknown === undefined) return;
    throw new TierbedError('invalid', `partition.at names the workload '${unknown}', which the study has not`, {
      fix: `Use one of: ${workloads.join(', ')}; or give one list of cuts for all.`,
    });
  },

  async apply(variant, options, context) {
    const { encoding, int8Cuts = true } = options as PartitionOptions;
    const plan = cutPlan(options as PartitionOptions);
    if (plan.mode === 'at' && !isCutList(plan.cuts) && !plan.cuts[context.workload.name]) return [];
    const whole = await wholeModel(variant, 'partition', ONE_PARTITION);
    const model = int8Cuts ? withOwnDequantize(whole) : whole;
    const item = await firstInputs(context.workload, 'evaluation', context.signal);
    const dims = itemDims(model, item);
    const chosen = await choose(plan, { model, item, dims, context });
    const cuts = chosen.cuts.map((tensors) => (int8Cuts ? int8Twin(model, tensors) : { tensors, moved: [] }));
    const models = await cutModel(
      model,
      cuts.map(({ tensors }) => tensors),
    );
    const chains = cutEncodings(encoding, cuts.length);
    const encoded = await withEncodings(await written(models, context.outDir), chains, item, context);
    const { sides, values } = await stageFigures(model, models, dims);
    const macs = sides.reduce((sum, side) => sum + (side.macs ?? Number.NaN), 0);
    const facts: Facts = {
      ...plannedFacts(plan),
      why: chosen.why,
      ...(item && { itemShapes: Object.fromEntries(item.map(({ name, tensor }) => [name, tensor.shape])) }),
      cuts: cuts.map(({ tensors, moved }, i) => ({
        tensors,
        bytes: itemBytes(tensors, values),
        ...(moved.length > 0 && { quantised: movedFacts(moved) }),
        ...encoded.facts[i],
      })),
      stages: sides.map((side) => ({
        ...side,
        macsShare: side.macs === null || !(macs > 0) ? null : Math.round((1000 * side.macs) / macs) / 1000,
      })),
      ...chosen.facts,
    };
    return [{ ...variant, stages: encoded.stages, facts }];
  },
};

/** How many cuts are planned; undefined where each workload has its own. */
function cutCount(plan: CutPlan): number | undefined {
  if (plan.mode === 'at') return isCutList(plan.cuts) ? plan.cuts.length : undefined;
  return plan.mode === 'paper' ? 1 : plan.stages - 1;
}

async function choose(plan: CutPlan, choice: Choice): Promise<Chosen> {
  switch (plan.mode) {
    case 'at': {
      const cuts = isCutList(plan.cuts) ? plan.cuts : (plan.cuts[choice.context.workload.name] ?? []);
      return { cuts: cuts.map((cut) => (typeof cut === 'string' ? [cut] : [...cut])), why: 'named' };
    }
    case 'narrowest':
      return narrowest(choice, plan.stages, plan.minShare);
    case 'balanced':
      return balanced(choice, plan.stages, plan.by);
    case 'paper':
      return paper(choice);
  }
}

async function written(models: readonly Model[], outDir: string): Promise<StageModel[]> {
  const stages: StageModel[] = [];
  for (const [i, model] of models.entries()) stages.push(await writeStage(model, outDir, `stage-${i}`));
  return stages;
}

function plannedFacts(plan: CutPlan): Facts {
  const { cuts: _, ...rest } = { cuts: undefined, ...plan };
  return rest;
}

/** `block2: block2_quantized` of every tensor that crosses in its quantised form. */
function movedFacts(moved: readonly Moved[]): Facts {
  return Object.fromEntries(moved.map(({ from, to }) => [from, to]));
}
