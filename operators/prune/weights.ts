import { intAttr } from '../../onnx/attribute.js';
import { initializerOf } from '../../onnx/build.js';
import { initializerElements, initializerTensor } from '../../onnx/initializer.js';
import { DATA_TYPE, type Model, type Node } from '../../onnx/model.js';
import { isOnnxDomain } from '../../onnx/passes/walk.js';
import { float32Tensor, float32Values } from '../../onnx/tensor.js';

/** A weight of a layer as a matrix of outputs and inputs, with the places of a kernel behind. */
export interface LayerWeight {
  readonly name: string;
  /** The node that multiplies by it; the first, where several do. */
  readonly node: string;
  readonly opType: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Elements from one output to the next, and from one input to the next. */
  readonly outputStride: number;
  readonly inputStride: number;
  /** Places of the kernel: consecutive elements; 1 for linear layers. */
  readonly places: number;
}

/** Where layers have their weight, and which of its axes counts outputs and which inputs. */
const LAYERS: Readonly<Record<string, (node: Node) => readonly [outputs: number, inputs: number]>> = {
  Conv: () => [0, 1],
  ConvTranspose: () => [1, 0],
  Gemm: (node) => (intAttr(node, 'transB') ? [0, 1] : [1, 0]),
  MatMul: () => [1, 0],
};

/** The float32 weights of a model's convolutions and linear layers, in the order in which nodes use them. */
export function layerWeights({ graph }: Model): readonly LayerWeight[] {
  const stored = new Map(graph.initializers.map((each) => [each.name, each]));
  const found = new Map<string, LayerWeight>();
  for (const node of graph.nodes) {
    const axes = isOnnxDomain(node.domain) && Object.hasOwn(LAYERS, node.opType) ? LAYERS[node.opType] : undefined;
    const weight = stored.get(node.inputs[1] ?? '');
    if (!axes || !weight || found.has(weight.name)) continue;
    const { dims, dataType, name } = weight;
    const matrix = node.opType === 'Gemm' || node.opType === 'MatMul';
    if (dataType !== DATA_TYPE.float32 || dims.length < 2 || (matrix && dims.length > 2)) continue;
    const [outputs, inputs] = axes(node);
    const places = dims.slice(2).reduce((product, size) => product * size, 1);
    const stride = (axis: number) => (axis === 0 ? (dims[1] as number) * places : places);
    found.set(name, {
      ...{ name, node: node.name || (node.outputs[0] as string), opType: node.opType, places },
      ...{ outputs: dims[outputs] as number, inputs: dims[inputs] as number },
      ...{ outputStride: stride(outputs), inputStride: stride(inputs) },
    });
  }
  return [...found.values()];
}

/** Copies of weights, to be changed. */
export function weightArrays({ graph }: Model, names: ReadonlySet<string>): ReadonlyMap<string, Float32Array> {
  return new Map(
    graph.initializers
      .filter(({ name, dataType }) => names.has(name) && dataType === DATA_TYPE.float32)
      .map((each) => [each.name, float32Values(initializerTensor(each)).slice()]),
  );
}

/** The model with other elements in these weights. */
export function withWeights(model: Model, arrays: ReadonlyMap<string, Float32Array>): Model {
  const initializers = model.graph.initializers.map((each) => {
    const values = arrays.get(each.name);
    return values ? initializerOf(each.name, float32Tensor(each.dims, values)) : each;
  });
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Elements of a weight. */
export function elementsOf({ outputs, inputs, places }: LayerWeight): number {
  return outputs * inputs * places;
}

/** How many elements of a model's float32 weights are zero, by name. */
export function zerosByWeight(
  model: Model,
  names: ReadonlySet<string>,
): ReadonlyMap<string, { zero: number; all: number }> {
  const found = new Map<string, { zero: number; all: number }>();
  for (const each of model.graph.initializers) {
    if (!names.has(each.name) || each.dataType !== DATA_TYPE.float32) continue;
    let zero = 0;
    for (const value of float32Values(initializerTensor(each))) if (value === 0) zero++;
    found.set(each.name, { zero, all: initializerElements(each) });
  }
  return found;
}
