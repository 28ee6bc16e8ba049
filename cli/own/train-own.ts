import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { encodeModel } from '../../onnx/encode.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import { evaluate } from '../../operators/evaluate.js';
import { figuresOf } from '../../operators/figures.js';
import { operator } from '../../operators/index.js';
import { packStep, writePacked } from '../../operators/kept-steps.js';
import { buildVariants } from '../../operators/recipe.js';
import { stepsFor } from '../../operators/steps-for.js';
import type { Step, Variant } from '../../operators/variant.js';
import { OWN_NETWORKS, type OwnNetwork, type OwnWorkload } from '../../workloads/own/own-workload.js';
import type { Workload } from '../../workloads/types.js';
import { architecture } from '../../workloads/zoo/architectures.js';
import { freshWeights } from '../../workloads/zoo/fresh-weights.js';
import { withHalfWeights } from './half-weights.js';
import { halveStep } from './halve-step.js';
import { intervalOf, type TrainedRecord, type WorkloadRecord } from './record.js';

/** Of the fresh weights, and of the data. */
const SEED = 1;

export interface TrainOwnOptions {
  /** Where it is worked: fresh models, checkpoints, and what steps make. What is there is gone on from. */
  readonly work: string;
  /** Where what is to be kept goes. */
  readonly out: string;
  readonly threads: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Told of each model that is done. */
  readonly done: (workload: string, name: string, record: TrainedRecord) => void;
}

/**
 * Trains all that the project keeps of a workload, from nothing: its networks, and the steps of recipes that train. What
 * recipes without such a step are worth is noted, too.
 *
 * @returns what each is worth
 * @throws as `buildVariants` and `evaluate`
 */
export async function trainOwn(
  own: OwnWorkload,
  recipes: ReadonlyMap<string, readonly Step[]>,
  options: TrainOwnOptions,
): Promise<WorkloadRecord> {
  const { name } = own;
  const records: Record<string, TrainedRecord> = {};
  const note = (of: string, record: TrainedRecord): void => {
    records[of] = record;
    options.done(name, of, record);
  };
  const paths: Partial<Record<OwnNetwork, string>> = {};
  for (const network of OWN_NETWORKS) {
    const { path, record } = await trainNetwork(own, network, options);
    paths[network] = path;
    note(network, record);
  }
  const workload: Workload = { ...own.data(SEED), modelPath: paths.teacher as string };
  for (const [recipe, all] of recipes) {
    const steps = stepsFor(all, name);
    if (!steps || steps.length === 0) continue;
    const record = await trainRecipe(workload, recipe, steps, options);
    if (record) note(recipe, record);
  }
  return records;
}

async function trainNetwork(own: OwnWorkload, network: OwnNetwork, options: TrainOwnOptions) {
  const folder = join(options.work, own.name);
  await mkdir(folder, { recursive: true });
  const { name, options: fit } = own.networks[network];
  const fresh = join(folder, `${network}-fresh.onnx`);
  await writeModel(architecture(name).build(freshWeights(SEED), fit).model, fresh);
  const workload: Workload = { ...own.data(SEED), modelPath: fresh };
  const steps: readonly Step[] = [{ operator: 'train', options: own.networks[network].training }];
  const [variant] = await build(workload, network, steps, options);
  const trained = variant as Variant;
  const made = await readModel(trained.stages[0]?.files[0]?.path as string);
  const model = withHalfWeights({ ...made, graph: { ...made.graph, name: `${own.name}-${network}` } });
  const path = join(folder, `${network}.onnx`);
  await writeModel(model, path);
  await mkdir(join(options.out, own.name), { recursive: true });
  await writePacked(join(options.out, own.name, `${network}.onnx.br`), encodeModel(model));
  const kept = await buildVariants({ ...workload, modelPath: path }, network, [], {});
  return { path, record: await recordOf(workload, kept[0] as Variant, trained.steps[0]?.tookMs ?? 0, [], options) };
}

/** Each step of a recipe that trains, and what the whole recipe is worth; undefined where it gives several variants. */
async function trainRecipe(
  workload: Workload,
  recipe: string,
  steps: readonly Step[],
  options: TrainOwnOptions,
): Promise<TrainedRecord | undefined> {
  const keys: string[] = [];
  for (const [i, step] of steps.entries()) {
    if (!operator(step.operator).reads?.(step.options)?.includes('training')) continue;
    let key = '';
    await build(workload, recipe, steps.slice(0, i + 1), options, (taken) => {
      key = taken;
    });
    const cached = join(cacheOf(options), key);
    await halveStep(cached);
    await packStep(cached, join(options.out, 'steps'), key);
    keys.push(key);
  }
  const variants = await build(workload, recipe, steps, options);
  const [variant] = variants;
  if (!variant || variants.length > 1) return undefined;
  const tookMs = variant.steps.reduce((sum, taken) => sum + taken.tookMs, 0);
  return recordOf(workload, variant, tookMs, keys, options);
}

const cacheOf = ({ work }: TrainOwnOptions): string => join(work, 'variants');

async function build(
  workload: Workload,
  name: string,
  steps: readonly Step[],
  options: TrainOwnOptions,
  onKey: (key: string) => void = () => {},
): Promise<readonly Variant[]> {
  const { threads, progress, signal, work } = options;
  return buildVariants(workload, name, steps, {
    ...{ cache: cacheOf(options), threads, progress, signal },
    // From nothing: what the project keeps already is not looked at.
    kept: join(work, 'none'),
    onStep: ({ key }) => onKey(key),
  });
}

async function recordOf(
  workload: Workload,
  variant: Variant,
  tookMs: number,
  steps: readonly string[],
  { threads, progress, signal }: TrainOwnOptions,
): Promise<TrainedRecord> {
  const { value, n } = await evaluate(workload, variant.stages, 'evaluation', { threads, progress, signal });
  if (value === null) throw new TierbedError('internal', `${workload.name} has no labels`);
  const figures = await figuresOf(variant.stages, undefined);
  return {
    ...{ accuracy: value, items: n, interval: intervalOf(value, n) },
    parameters: figures.reduce((sum, { parameters }) => sum + parameters, 0),
    bytes: variant.stages.flatMap(({ files }) => files).reduce((sum, { bytes }) => sum + bytes, 0),
    seconds: Math.round(tookMs / 1000),
    steps,
  };
}
