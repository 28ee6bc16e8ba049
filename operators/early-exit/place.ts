import { TierbedError } from '../../base/errors.js';
import type { GraphBuilder, Value } from '../../onnx/build.js';
import type { TensorType } from '../../onnx/infer.js';
import type { Model } from '../../onnx/model.js';
import { int8Twin, type TwinCut } from '../partition/int8-twin.js';
import { type FeatureForm, featureForms } from './forms.js';

/** Where an exit is. */
export interface Exit {
  /** The tensor that its head looks at. */
  readonly tensor: Value;
  /** What crosses to the next stage when it is not sure. */
  readonly cut: TwinCut;
  readonly forms: readonly FeatureForm[];
  /** Adds what the head looks at: the tensor, or what its quantised form stands for. */
  input(g: GraphBuilder, prefix: string): Value;
}

/**
 * An exit at a tensor, or at the first of several that cross together.
 *
 * @param values types and shapes of one item's tensors
 * @throws TierbedError `invalid` when there is no such tensor, or no head can be fitted on its shape
 */
export function exitAt(model: Model, tensors: readonly string[], values: ReadonlyMap<string, TensorType>): Exit {
  const [tensor = ''] = tensors;
  const type = values.get(tensor);
  if (!type) {
    const names = [...values.keys()].filter((name) => name.includes(tensor) || tensor.includes(name)).slice(0, 5);
    throw new TierbedError('invalid', `early-exit: there is no tensor '${tensor}' in the model`, {
      fix: `Name one that 'tierbed inspect MODEL' lists${names.length > 0 ? `, such as ${names.join(', ')}` : ''}.`,
    });
  }
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 17;
  const shape = (type.shape ?? []).filter((dim): dim is number => typeof dim === 'number');
  const forms = shape.length === type.shape?.length ? featureForms(shape, type.dtype, opset) : [];
  if (forms.length === 0) {
    const described = type.shape?.map((dim) => dim ?? '?').join(', ') ?? '?';
    throw new TierbedError('invalid', `early-exit: no head can be fitted on ${tensor} [${described}]`, {
      fix: 'Choose a float tensor [N, D], [N, T, D] or [N, C, H, W] with up to 1024 features.',
    });
  }
  const cut = int8Twin(model, tensors);
  const twin = cut.moved.find(({ from }) => from === tensor)?.to;
  return {
    tensor,
    cut,
    forms,
    input(g, prefix) {
      if (twin === undefined) return tensor;
      return g.node('DequantizeLinear', [twin, ...quantisation(model, twin)], {}, `${prefix}.dequantized`);
    },
  };
}

/** Names of the scale and the zero point of a quantised tensor. */
function quantisation({ graph }: Model, twin: string): string[] {
  const node = graph.nodes.find(
    ({ opType, inputs, outputs }) =>
      (opType === 'QuantizeLinear' && outputs[0] === twin) || (opType === 'DequantizeLinear' && inputs[0] === twin),
  );
  if (node) return node.inputs.slice(1).filter((name) => name !== '');
  throw new TierbedError('invalid', `early-exit: ${twin} is quantised by neither QuantizeLinear nor DequantizeLinear`, {
    fix: 'Use the QDQ format: `sptq: { format: qdq }`.',
  });
}
