import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type CheckedYaml, parseCheckedYaml } from '../base/checked-yaml.js';
import { messageOf, TierbedError } from '../base/errors.js';
import { KeyedError } from '../base/keyed-error.js';
import type { Progress } from '../base/progress.js';
import { type LoadWorkloadOptions, loadWorkload, type ModelWorkloadSpec, type OwnWorkloadSpec } from './index.js';
import { workloadFileSchema } from './schema.js';
import type { Workload } from './types.js';

/** A workload file: a workload as a study has it, which may leave its model to whoever uses it. */
type WorkloadFileSpec = (OwnWorkloadSpec | (Omit<ModelWorkloadSpec, 'model'> & { readonly model?: string })) & {
  readonly name?: string;
};

export interface LoadFileOptions {
  /** Takes the place of the model that the file names; relative to the working folder. */
  readonly model?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a workload from a file of its own (docs/workloads.md). Relative paths in it start at its folder.
 *
 * @throws TierbedError with file, line and key, else as `loadWorkload`
 */
export async function loadWorkloadFile(path: string, options: LoadFileOptions = {}): Promise<Workload> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : messageOf(error);
    throw new TierbedError('missing', `workload ${path}: ${reason}`, {
      fix: 'Give the path of a workload file, e.g. workload.yaml.',
    });
  });
  const file = parseCheckedYaml<WorkloadFileSpec>(text, path, workloadFileSchema);
  try {
    return await load(file.data, path, options);
  } catch (error) {
    throw located(file, error);
  }
}

async function load(spec: WorkloadFileSpec, path: string, options: LoadFileOptions): Promise<Workload> {
  const { progress, signal } = options;
  const model = options.model === undefined ? undefined : resolve(options.model);
  const { name, ...rest } = spec;
  const how: LoadWorkloadOptions = { baseDir: dirname(resolve(path)), name, progress, signal };
  if ('use' in rest) {
    const own = await loadWorkload(rest, how);
    return model === undefined ? own : { ...own, modelPath: model };
  }
  const named = model ?? rest.model;
  if (named === undefined) {
    throw new KeyedError(['model'], 'the workload names no model, and none is given beside it', {
      fix: 'Write `model: FILE.onnx` in the workload, or give the model to the command.',
    });
  }
  return loadWorkload({ ...rest, model: named }, how);
}

/** The same error, with the file, the line and the key. */
function located(file: CheckedYaml<unknown>, error: unknown): unknown {
  if (!(error instanceof TierbedError) || error.kind === 'cancelled') return error;
  return file.errorAt(error instanceof KeyedError ? error.path : [], error.message, { cause: error });
}
