import { dataTypeName } from '../onnx/data-types.js';
import { readModel } from '../onnx/read.js';
import type { ModelInput } from './loaders/loader.js';

/** What a model takes in every run: not those of its inputs that have a value of their own. @throws TierbedError as `readModel` */
export async function modelInputs(path: string): Promise<readonly ModelInput[]> {
  const { graph } = await readModel(path);
  const weights = new Set(graph.initializers.map(({ name }) => name));
  return graph.inputs
    .filter(({ name }) => !weights.has(name))
    .map(({ name, type }) => ({ name, dtype: type.kind === 'tensor' ? dataTypeName(type.elemType) : type.kind }));
}
