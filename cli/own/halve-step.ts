import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import { hashFile } from '../../operators/variant.js';
import { ENTRY } from '../../operators/variant-cache.js';
import { withHalfWeights } from './half-weights.js';

interface File {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Of the entry of a step in the cache what is changed here. */
interface Entry {
  readonly made: readonly { readonly stages: readonly { readonly files: readonly File[] }[] }[];
}

/** Gives the models that a step in the cache made weights that take half the room when they are packed. */
export async function halveStep(folder: string): Promise<void> {
  const path = join(folder, ENTRY);
  const entry = JSON.parse(await readFile(path, 'utf8')) as Entry;
  const halved = async (file: File): Promise<File> => {
    const model = join(folder, file.path);
    if (!model.endsWith('.onnx')) return file;
    await writeModel(withHalfWeights(await readModel(model)), model);
    return { ...file, ...(await hashFile(model)) };
  };
  const made = [];
  for (const one of entry.made) {
    const stages = [];
    for (const stage of one.stages) stages.push({ ...stage, files: await Promise.all(stage.files.map(halved)) });
    made.push({ ...one, stages });
  }
  await writeFile(path, JSON.stringify({ ...entry, made }, null, 2));
}
