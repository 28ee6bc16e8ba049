import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DATA_TYPE, type Model, type ValueInfo } from './model.js';
import { writeModel } from './write.js';

/**
 * TensorProto.DataType of tensors of which not even the rank is fixed (the outputs of an If whose branches differ), as
 * ONNX Runtime's type inference has them: the model is loaded with these tensors as outputs, and not run.
 *
 * @returns the tensors among `names`, without those that are no tensors; empty when the runtime refuses the model
 */
export async function elementTypes(model: Model, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  if (names.length === 0) return found;
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-types-'));
  try {
    const { InferenceSession } = await import('onnxruntime-node');
    const path = join(folder, 'model.onnx');
    await writeModel(withOutputs(model, names), path);
    const session = await InferenceSession.create(path, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
    for (const value of session.outputMetadata) {
      const type =
        value.isTensor && names.includes(value.name)
          ? (DATA_TYPE as Readonly<Record<string, number>>)[value.type]
          : undefined;
      if (type !== undefined) found.set(value.name, type);
    }
    await session.release();
    return found;
  } catch {
    // The runtime does not have one of the operators: its types stay unknown.
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function withOutputs(model: Model, names: readonly string[]): Model {
  const present = new Set(model.graph.outputs.map(({ name }) => name));
  const added = names
    .filter((name) => !present.has(name))
    .map((name): ValueInfo => ({ name, type: { kind: 'undefined' }, docString: '', metadataProps: [] }));
  return { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, ...added] } };
}
