import { createHash } from 'node:crypto';
import { version } from '../../base/paths.js';
import { initializerBytes } from '../../onnx/initializer.js';
import type { Model } from '../../onnx/model.js';
import { partHash } from '../../workloads/prepared.js';
import type { WorkloadPart } from '../../workloads/types.js';
import type { Settings } from './settings.js';
import type { TrainRequest } from './types.js';

/**
 * All that a training follows from, hashed by what it is: two runs with one key make the same weights. Named so that a
 * checkpoint of another run can say what differs.
 */
export async function runKey(
  request: TrainRequest,
  settings: Settings,
  weights: readonly string[],
  threads: number,
): Promise<Readonly<Record<string, string>>> {
  const { model, workload, objective, plugins = [], batchNorm, signal } = request;
  const parts = ['training' as WorkloadPart, 'tuning' as const];
  const data = await Promise.all(parts.map((part) => partHash(workload, part, signal)));
  return {
    'the version of Tierbed': version,
    'the model': modelHash(model),
    'the settings': textHash(JSON.stringify([settings, batchNorm])),
    'the weights that are trained': textHash(JSON.stringify(weights)),
    'the objective': `${objective.name} ${textHash(objective.identity ?? '')}`,
    'the plugins': plugins.map(({ name, identity = '' }) => `${name} ${textHash(identity)}`).join(', '),
    'the training part': data[0] as string,
    'the tuning part': data[1] as string,
    'the number of threads': String(threads),
  };
}

/** The sha256 of a model: of its graph, and of its weights one by one, so that they are not in memory twice. */
function modelHash(model: Model): string {
  const hash = createHash('sha256');
  const { initializers, ...graph } = model.graph;
  hash.update(JSON.stringify([model.opsetImport, graph, model.functions], plain));
  for (const each of initializers) {
    hash.update(JSON.stringify([each.name, each.dims, each.dataType]));
    if (each.data.kind !== 'strings') hash.update(initializerBytes(each));
  }
  return hash.digest('hex');
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function textHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
