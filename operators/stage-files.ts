import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Model } from '../onnx/model.js';
import { writeModel } from '../onnx/write.js';
import { describeModel } from './model-files.js';
import type { StageModel } from './variant.js';

/** Writes a stage into a folder of its own under `outDir`, beside those of the others, whose external data is so kept apart. */
export async function writeStage(model: Model, outDir: string, name: string): Promise<StageModel> {
  const folder = join(outDir, name);
  await mkdir(folder);
  const path = join(folder, 'model.onnx');
  await writeModel(model, path);
  return describeModel(path);
}
