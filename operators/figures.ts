import { modelParameters, nodeCosts } from '../onnx/cost.js';
import { itemValues } from '../onnx/inspect.js';
import type { Model, ValueInfo } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import type { NamedTensor } from '../onnx/tensor.js';
import type { StageModel } from './variant.js';

/** What a stage is made of, and what it costs. */
export interface StageFigures {
  /** Elements of all initializers. */
  readonly parameters: number;
  /** Multiply-accumulates of one item; null when a shape that decides them is not known. */
  readonly macs: number | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly opset: number;
}

type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * Figures of stages that run one behind the other.
 *
 * @param item the inputs of one item: free dimensions are as large as they are there; without it they are 1
 */
export async function figuresOf(
  stages: readonly StageModel[],
  item: readonly NamedTensor[] | undefined,
): Promise<readonly StageFigures[]> {
  let known: Shapes = new Map(item?.map(({ name, tensor }) => [name, tensor.shape]));
  const figures: StageFigures[] = [];
  for (const { files } of stages) {
    const model = await readModel(files[0]?.path as string);
    const values = await itemValues(withShapes(model, known), {});
    const costs = nodeCosts(model, values);
    const macs = model.graph.nodes.reduce((total, node) => total + (costs.get(node)?.macs ?? Number.NaN), 0);
    const weights = new Set(model.graph.initializers.map(({ name }) => name));
    const inputs = model.graph.inputs.map(({ name }) => name).filter((name) => !weights.has(name));
    const outputs = model.graph.outputs.map(({ name }) => name);
    figures.push({
      ...{ parameters: modelParameters(model), macs: Number.isNaN(macs) ? null : macs, inputs, outputs },
      opset: model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0,
    });
    known = new Map(
      outputs.flatMap((name) => {
        const shape = values.get(name)?.shape;
        return shape?.every((dim): dim is number => typeof dim === 'number') ? [[name, shape]] : [];
      }),
    );
  }
  return figures;
}

function withShapes(model: Model, known: Shapes): Model {
  const inputs = model.graph.inputs.map((info): ValueInfo => {
    const shape = known.get(info.name);
    return shape && info.type.kind === 'tensor' ? { ...info, type: { ...info.type, shape } } : info;
  });
  return { ...model, graph: { ...model.graph, inputs } };
}
