import { basename, extname } from 'node:path';
import { TierbedError } from '../base/errors.js';
import type { Progress } from '../base/progress.js';
import { type DataSpec, loadItems } from './loaders/index.js';
import { mustExist } from './loaders/read.js';
import { metric } from './metrics/index.js';
import { loadOwn } from './own/index.js';
import { resolveStudyPath } from './paths.js';
import { createPreprocessor } from './preprocess/index.js';
import type { PostprocessSpec, PreprocessSpec, Workload } from './types.js';

/** A workload of the project's own, e.g. `pictures`. */
export interface OwnWorkloadSpec {
  readonly use: string;
  readonly seed?: number;
}

/** A model with its data, as a study names them. */
export interface ModelWorkloadSpec {
  /** The ONNX file; relative to the study, `${NAME}` from the environment. */
  readonly model: string;
  readonly data: DataSpec;
  readonly preprocess: PreprocessSpec;
  readonly postprocess: PostprocessSpec;
  readonly metric: string;
}

/** A workload in a study; its JSON Schema is `workloadSchema` in `schema.ts`. */
export type WorkloadSpec = OwnWorkloadSpec | ModelWorkloadSpec;

export interface LoadWorkloadOptions {
  /** The study's folder: relative paths start here. */
  readonly baseDir: string;
  /** The workload's name in the study; by default that of the workload's own or of the model's file. */
  readonly name?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a workload that a study names: everything it refers to is checked to be there, no item is read yet. A workload
 * of the project's own is built on first use (ten to twenty seconds, shown by `progress`) and kept in the cache.
 *
 * @throws TierbedError `missing` when a file or environment variable is not there, `invalid` when something in it is
 *   wrong, `cancelled` when `signal` says so
 */
export async function loadWorkload(spec: WorkloadSpec, options: LoadWorkloadOptions): Promise<Workload> {
  if ('use' in spec) {
    const own = await loadOwn(spec.use, { seed: spec.seed, progress: options.progress, signal: options.signal });
    return { ...own, name: options.name ?? own.name };
  }
  const resolvePath = (path: string): string => resolveStudyPath(path, options.baseDir);
  const modelPath = resolvePath(spec.model);
  await mustExist(modelPath);
  metric(spec.metric);
  createPreprocessor(spec.preprocess);
  const items = await loadItems(spec.data, { resolvePath, signal: options.signal });
  if (items.length === 0) throw new TierbedError('invalid', `the data of ${spec.model} has no items`);
  return {
    name: options.name ?? basename(modelPath, extname(modelPath)),
    modelPath,
    items,
    calibration: [],
    tuning: [],
    preprocess: spec.preprocess,
    postprocess: spec.postprocess,
    metric: spec.metric,
  };
}
