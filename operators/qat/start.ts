import { inferValues } from '../../onnx/infer.js';
import type { Model } from '../../onnx/model.js';
import type { OperatorContext } from '../operator.js';
import { type CalibrationFacts, calibrate } from '../quantise/calibrate.js';
import { checkChoice } from '../quantise/graph/choice.js';
import { NODE_TYPES } from '../quantise/graph/node-types.js';
import { type Plan, planQuantisation } from '../quantise/graph/plan.js';
import { writeQdq } from '../quantise/graph/qdq.js';
import { writeQOperator } from '../quantise/graph/qoperator.js';
import { View } from '../quantise/graph/view.js';
import { refuseNothing } from '../quantise/planned-nodes.js';
import type { QatOptions } from './options.js';
import { trainedRanges } from './ranges.js';
import { simulate } from './simulate.js';
import type { Simulation } from './simulation.js';
import { withWeights } from './with-weights.js';

/** Where training starts: what `sptq` would make, as a simulation. */
export interface Start {
  /** The prepared float model. */
  readonly model: Model;
  readonly plan: Plan;
  readonly simulation: Simulation;
  readonly calibration: CalibrationFacts;
}

/**
 * Plans a prepared float model, calibrates it and makes its simulation.
 *
 * @param name the variant's, for messages
 * @throws TierbedError `invalid` when nothing of it becomes int8, or as `checkChoice`; as `calibrate`
 */
export async function startOf(
  model: Model,
  given: QatOptions,
  { workload, threads, progress, signal }: OperatorContext,
  name: string,
): Promise<Start> {
  const { method = 'minmax', items = 200, percentile, train, ranges: kind = 'moving' } = given;
  const { perChannel = true, reduceRange = false } = given;
  const types = await inferValues(model);
  checkChoice(given, new View(model, types), NODE_TYPES);
  const plan = await planOf(model, given);
  refuseNothing(plan, name, 'qat');
  const { ranges, facts } = await calibrate(model, plan.tensors, workload, {
    ...{ method, items, threads, progress, signal },
    ...(percentile !== undefined && { options: { percentile } }),
  });
  const dims = train?.dims ?? {};
  const simulation = simulate(plan, ranges, { ranges: kind, perChannel, reduceRange, types, dims });
  return { model, plan, simulation, calibration: facts };
}

/** What becomes int8. @param excluded names of nodes that stay in float besides those that the options name */
export async function planOf(
  model: Model,
  given: QatOptions,
  excluded: ReadonlySet<string> = new Set(),
): Promise<Plan> {
  const choice = { ...given, excludeNodes: [...(given.excludeNodes ?? []), ...excluded] };
  return planQuantisation(new View(model, await inferValues(model)), choice, given.activations ?? 'uint8');
}

/**
 * The int8 model that a simulation is of, with the plan and the writer of `sptq`.
 *
 * @param weights the simulation's model as training left it
 */
export async function quantisedModel(
  { model, simulation }: Start,
  weights: Model,
  given: QatOptions,
  excluded?: ReadonlySet<string>,
): Promise<Model> {
  const { activations = 'uint8', perChannel = true, reduceRange = false, format = 'qdq' } = given;
  const plan = await planOf(withWeights(model, weights), given, excluded);
  const write = format === 'qdq' ? writeQdq : writeQOperator;
  return write(plan, trainedRanges(simulation, weights, activations), { perChannel, reduceRange });
}
