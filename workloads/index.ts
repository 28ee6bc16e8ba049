import { basename, extname } from 'node:path';
import { KeyedError } from '../base/keyed-error.js';
import { type Progress, silent } from '../base/progress.js';
import { labelsFrom } from './labels-from.js';
import { type DataSpec, type LoadContext, loadItems } from './loaders/index.js';
import { mustExist } from './loaders/read.js';
import { chosenMetric, type MetricChoice, metricKind } from './metrics/index.js';
import { modelInputs } from './model-inputs.js';
import { loadOwn } from './own/index.js';
import type { OwnNetwork } from './own/own-workload.js';
import { refuseOverlap } from './parts/overlap.js';
import { type Parts, type SplitSpec, split } from './parts/split.js';
import { resolveStudyPath } from './paths.js';
import { createPreprocessor } from './preprocess/index.js';
import type { PostprocessSpec, PreprocessSpec, Workload, WorkloadPart } from './types.js';

/** A workload of the project's own, e.g. `pictures`. */
export interface OwnWorkloadSpec {
  readonly use: string;
  readonly seed?: number;
  /** The teacher unless told. */
  readonly network?: OwnNetwork;
}

/** A model with its data, as a study or a workload file names them. */
export interface ModelWorkloadSpec {
  /** The ONNX file; relative to the study or the workload file, `${NAME}` from the environment. */
  readonly model: string;
  /** The evaluation part, or with `split` all parts. */
  readonly data: DataSpec;
  /** How `data` becomes parts; without it all of it is the evaluation part. */
  readonly split?: SplitSpec;
  /** The other parts, where they have data of their own. */
  readonly parts?: Readonly<Partial<Record<Exclude<WorkloadPart, 'evaluation'>, DataSpec>>>;
  readonly preprocess: PreprocessSpec;
  readonly postprocess: PostprocessSpec;
  readonly metric: MetricChoice;
}

/** A workload in a study; its JSON Schema is `workloadSchema` in `schema.ts`. */
export type WorkloadSpec = OwnWorkloadSpec | ModelWorkloadSpec;

export interface LoadWorkloadOptions {
  /** The folder of the study or the workload file: relative paths start here. */
  readonly baseDir: string;
  /** The workload's name in the study; by default that of the workload's own or of the model's file. */
  readonly name?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a workload: everything that it refers to is checked to be there and to fit together. Items are read only where
 * parts are compared or labels made of them; those of the project's own workloads are made then.
 *
 * @throws TierbedError `missing` when a file or environment variable is not there, `invalid` when something in it is
 *   wrong, `cancelled` when `signal` says so; a `KeyedError` where one of the spec's keys is to be changed
 */
export async function loadWorkload(spec: WorkloadSpec, options: LoadWorkloadOptions): Promise<Workload> {
  if ('use' in spec) {
    const own = await loadOwn(spec.use, { seed: spec.seed, network: spec.network });
    return { ...own, name: options.name ?? own.name };
  }
  const { progress = silent, signal } = options;
  const resolvePath = (path: string): string => resolveStudyPath(path, options.baseDir);
  const modelPath = resolvePath(spec.model);
  await atKey(['model'], () => mustExist(modelPath));
  const { preprocess, postprocess } = spec;
  const { name: metric, options: metricOptions } = chosenMetric(spec.metric);
  await atKey(['metric'], async () => metricKind(metric));
  await atKey(['preprocess'], async () => createPreprocessor(preprocess));
  const context = { resolvePath, signal, modelInputs: () => modelInputs(modelPath) };
  const parts = await loadParts(spec, context, progress);
  const workload: Workload = {
    name: options.name ?? basename(modelPath, extname(modelPath)),
    modelPath,
    items: parts.evaluation,
    training: parts.training,
    calibration: parts.calibration,
    tuning: parts.tuning,
    preprocess,
    postprocess,
    metric,
    ...(Object.keys(metricOptions).length > 0 && { metricOptions }),
  };
  const kind = metricKind(metric);
  const items = [...parts.evaluation, ...parts.calibration, ...parts.tuning, ...parts.training];
  const misfit = kind.misfit({ postprocess, items }, metricOptions);
  if (misfit) throw new KeyedError(misfit.at, misfit.message, { fix: misfit.fix });
  return atKey(['metric'], () => withLabels(workload, resolvePath, progress, signal));
}

async function loadParts(spec: ModelWorkloadSpec, context: LoadContext, progress: Progress): Promise<Parts> {
  if (spec.split && spec.parts) {
    throw new KeyedError(['parts'], "either one data set is divided with 'split', or 'parts' name others", {
      fix: "Leave out 'split' or 'parts'.",
    });
  }
  const data = await atKey(['data'], () => itemsOf(spec.data, context));
  if (spec.split) return split(data, spec.split);
  const part = async (name: keyof NonNullable<ModelWorkloadSpec['parts']>) => {
    const own = spec.parts?.[name];
    return own ? atKey(['parts', name], () => itemsOf(own, context)) : [];
  };
  const parts = {
    evaluation: data,
    calibration: await part('calibration'),
    tuning: await part('tuning'),
    training: await part('training'),
  };
  if (spec.parts) await refuseOverlap(parts, progress, context.signal);
  return parts;
}

async function itemsOf(spec: DataSpec, context: LoadContext): Promise<Workload['items']> {
  const items = await loadItems(spec, context);
  if (items.length === 0) throw new KeyedError([], 'the data has no items');
  return items;
}

/** The workload with the labels that its metric makes, where they are not the data's. */
async function withLabels(
  workload: Workload,
  resolvePath: (path: string) => string,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<Workload> {
  const { preprocess, postprocess, metric, metricOptions = {} } = workload;
  const source = await metricKind(metric).labels?.(metricOptions, { postprocess, resolvePath });
  if (!source) return workload;
  try {
    const labelled = async (items: Workload['items'], part: WorkloadPart) =>
      items.length === 0
        ? []
        : labelsFrom(items, source, {
            ...{ preprocess, progress, signal },
            doing: `labelling the ${part} part of ${workload.name} for ${metric}`,
          });
    return {
      ...workload,
      items: await labelled(workload.items, 'evaluation'),
      training: await labelled(workload.training, 'training'),
      calibration: await labelled(workload.calibration, 'calibration'),
      tuning: await labelled(workload.tuning, 'tuning'),
    };
  } finally {
    await source.close();
  }
}

async function atKey<T>(path: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw KeyedError.at(path, error);
  }
}
