import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import { describeModel } from './model-files.js';
import { MANIFEST_FILE } from './output-folder.js';
import type { ModelFile, StageModel } from './variant.js';

/**
 * Writes a variant's models into a folder: `model.onnx`, or `stage-0.onnx`, `stage-1.onnx`... with their external data
 * beside them.
 *
 * @returns the stages as they are there
 */
export async function writeStages(stages: readonly StageModel[], folder: string): Promise<readonly StageModel[]> {
  const written: StageModel[] = [];
  for (const [i, { files, ...rest }] of stages.entries()) {
    const path = join(folder, stages.length === 1 ? 'model.onnx' : `stage-${i}.onnx`);
    await writeOne(files, path, stages.length > 1);
    written.push({ ...rest, files: (await describeModel(path)).files });
  }
  return written;
}

async function writeOne(files: readonly ModelFile[], path: string, beside: boolean): Promise<void> {
  const [model, ...data] = files as [ModelFile, ...ModelFile[]];
  // A model names the files of its data: those of two stages may have one name, and one may be called as a file of ours.
  if (data.length > 0 && (beside || data.some(({ name }) => OURS.test(name)))) {
    return writeModel(await readModel(model.path), path, { external: 'always' });
  }
  await copyFile(model.path, path);
  for (const file of data) {
    const target = join(dirname(path), file.name);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(file.path, target);
  }
}

const OURS = new RegExp(`^(model\\.onnx|${MANIFEST_FILE.replace('.', '\\.')})(/|$)`);
