import type { WorkloadSpec } from './index.js';
import { type DataSpec, LOADERS } from './loaders/index.js';
import { chosenMetric, METRICS } from './metrics/index.js';

/** A file or folder that a workload names. */
export interface SpecPath {
  /** Where in the workload it stands. */
  readonly at: readonly string[];
  /** As the workload has it. */
  readonly path: string;
  /** An ONNX model, which may have files of external data; or the data that the path belongs to. */
  readonly of: 'model' | DataSpec;
}

/** Every path that a workload names: its models, data, labels and tokenizers. */
export function* specPaths(spec: WorkloadSpec): Generator<SpecPath> {
  if ('use' in spec) return;
  if (spec.model !== undefined) yield { at: ['model'], path: spec.model, of: 'model' };
  yield* dataPaths(['data'], spec.data);
  for (const [part, data] of Object.entries(spec.parts ?? {})) yield* dataPaths(['parts', part], data);
  const { name, options } = chosenMetric(spec.metric);
  for (const key of METRICS.find((kind) => kind.name === name)?.models ?? []) {
    const path = options[key];
    if (typeof path === 'string') yield { at: ['metric', name, key], path, of: 'model' };
  }
}

function* dataPaths(at: readonly string[], data: DataSpec): Generator<SpecPath> {
  for (const key of LOADERS.find(({ name }) => name === data.loader)?.paths ?? []) {
    const path = (data as unknown as Readonly<Record<string, unknown>>)[key];
    if (typeof path === 'string') yield { at: [...at, key], path, of: data };
  }
}
