import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';

/** How many nodes of each type a model has after the runtime's optimisation. */
export async function kernels(model: Model): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-kernels-'));
  try {
    const path = join(folder, 'optimised.onnx');
    await (await openModel(model, { optimizedPath: path, threads: 1 })).close();
    const counts: Record<string, number> = {};
    for (const { opType } of (await readModel(path)).graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1;
    return counts;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
