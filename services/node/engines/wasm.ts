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
  return InferenceSession.create(await readFile(modelPath), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: options.graphOptimization ? 'all' : 'disabled',
    logSeverityLevel: 4,
    externalData: await filesBeside(modelPath),
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

/** WebAssembly sees no file system: what lies beside the model in its own folder is handed over with it. */
async function filesBeside(modelPath: string): Promise<{ path: string; data: Uint8Array }[]> {
  const folder = dirname(modelPath);
  const files: { path: string; data: Uint8Array }[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || path === modelPath) continue;
    files.push({ path: relative(folder, path).split(sep).join('/'), data: await readFile(path) });
  }
  return files;
}
