import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { env, InferenceSession } from 'onnxruntime-web';
import { TierbedError } from '../../../base/errors.js';
import type { Engine, SessionOptions } from '../engine.js';
import { ortSession } from './ort-session.js';

/** Threads that WebAssembly was started with; it is started once a process. */
let startedWith: number | undefined;

/** ONNX Runtime compiled to WebAssembly, as a browser or an embedded device would run it. */
export const wasm: Engine = {
  name: 'wasm',
  version: () => `onnxruntime-web ${(env.versions as { web?: string }).web ?? env.versions.common}`,
  open: (modelPath, options) => ortSession(create(modelPath, options)),
};

async function create(modelPath: string, options: SessionOptions): Promise<InferenceSession> {
  startWith(options.threads);
  const model = await readFile(modelPath);
  return InferenceSession.create(model, {
    executionProviders: ['wasm'],
    graphOptimizationLevel: options.graphOptimization ? 'all' : 'disabled',
    logSeverityLevel: 4,
    externalData: await externalData(modelPath, model),
  });
}

function startWith(threads: number): void {
  if (startedWith !== undefined && startedWith !== threads) {
    throw new TierbedError('refused', `the wasm engine runs with ${startedWith} threads here and cannot change that`, {
      fix: `Use ${startedWith} threads for every wasm deployment of this node, or restart it.`,
    });
  }
  startedWith = threads;
  env.wasm.numThreads = threads;
}

/**
 * WebAssembly sees no file system: the files beside the model that it may read are handed over with it. A model names its
 * external data in plain text, so a file whose name is nowhere in the model is not one of them.
 */
async function externalData(modelPath: string, model: Buffer): Promise<{ path: string; data: Uint8Array }[]> {
  const folder = dirname(modelPath);
  const files: { path: string; data: Uint8Array }[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = relative(folder, file).split(sep).join('/');
    if (entry.isFile() && file !== modelPath && model.includes(path)) files.push({ path, data: await readFile(file) });
  }
  return files;
}
