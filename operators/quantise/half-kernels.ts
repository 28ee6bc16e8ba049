import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import { GraphIndex } from '../../onnx/graph.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { openModel } from '../../onnx/runtime/session.js';

/**
 * The types of nodes that the runtime computes in float32 although the model says float16, for want of kernels: it puts
 * Casts around them (and takes those out again that meet, so that it is to be seen before the optimisation alone).
 */
export async function emulatedTypes(model: Model): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-half-'));
  try {
    const path = join(folder, 'optimised.onnx');
    await (await openModel(model, { optimizedPath: path, graphOptimization: false, threads: 1 })).close();
    const { graph } = await readModel(path);
    const index = new GraphIndex(graph);
    const widened = graph.nodes.filter(({ opType, attributes }) => {
      const to = attributes.find(({ name }) => name === 'to')?.value;
      return opType === 'Cast' && to?.type === 'int' && Number(to.i) === DATA_TYPE.float32;
    });
    const outputs = new Set(graph.outputs.map(({ name }) => name));
    const types = new Set<string>();
    for (const { outputs: made } of widened) {
      for (const name of made.filter((tensor) => !outputs.has(tensor))) {
        for (const i of index.consumers.get(name) ?? []) types.add(graph.nodes[i]?.opType ?? '');
      }
    }
    return [...types].sort();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws TierbedError `invalid` when the runtime has no float16 kernels here for what the model is made of */
export async function refuseEmulated(model: Model, name: string): Promise<void> {
  const types = await emulatedTypes(model);
  if (types.length === 0) return;
  throw new TierbedError(
    'invalid',
    `${name} cannot compute in float16 here: ONNX Runtime has no such kernels on this CPU for ${types.join(', ')}`,
    { fix: 'Store its weights as float16 and compute in float32: `compute: float32`.' },
  );
}
