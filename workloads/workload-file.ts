import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseCheckedYaml } from '../base/checked-yaml.js';
import { messageOf, TierbedError } from '../base/errors.js';
import type { Progress } from '../base/progress.js';
import { loadWorkload, type WorkloadSpec } from './index.js';
import { workloadSchema } from './schema.js';
import type { Workload } from './types.js';

export interface WorkloadFileOptions {
  /** In place of the file's own model. */
  readonly model?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads the workload of a YAML file: the keys are those of a workload in a study.
 *
 * @throws TierbedError `missing` when the file is not there; as `loadWorkload`
 */
export async function loadWorkloadFile(path: string, options: WorkloadFileOptions = {}): Promise<Workload> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : messageOf(error);
    throw new TierbedError('missing', `workload ${path}: ${reason}`, { cause: error });
  });
  const { data } = parseCheckedYaml<WorkloadSpec>(text, path, workloadSchema);
  const { model, progress, signal } = options;
  const workload = await loadWorkload(data, { baseDir: dirname(resolve(path)), progress, signal });
  return model === undefined ? workload : { ...workload, modelPath: resolve(model) };
}
