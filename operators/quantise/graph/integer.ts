import { intAttr, intsAttr } from '../../../onnx/attribute.js';
import { attributesOf } from '../../../onnx/build.js';
import { DATA_TYPE, type Initializer, type Model, type Node } from '../../../onnx/model.js';
import { denseTensor, float32Tensor } from '../../../onnx/tensor.js';
import type { NodeTypes } from './choice.js';
import { Emitter } from './emitter.js';
import { NODE_TYPES, type NodeType } from './node-types.js';
import type { WeightOptions } from './parts.js';
import { productOf } from './products.js';
import { dequantize } from './tensors.js';
import { nodeLabel, type View, weightValues } from './view.js';
import { layoutOf, magnitudes, quantiseWeight, REDUCED_STEPS, WEIGHT_STEPS, weightScales } from './weights.js';

const product: NodeType = {
  kind: 'product',
  activations: () => [0],
  refusal: (node, view) => {
    const { refusal, weight } = productOf(node, view);
    if (refusal !== undefined) return refusal;
    if (!weight) return 'it multiplies two activations';
    return node.opType === 'Gemm' && intAttr(node, 'transA') ? 'its first factor is transposed' : undefined;
  },
};

/** Types of nodes whose weights can be int8 while their activations are quantised at run time. */
export const DYNAMIC_TYPES: NodeTypes = {
  MatMul: product,
  Gemm: product,
  Gather: NODE_TYPES.Gather as NodeType,
  Conv: { ...product, optional: isOverlapping },
};

/**
 * Whether a Conv sees its input more than once: its integer kernel, which has no scale at the end, is then slower than
 * float. The patches that a vision transformer begins with do not overlap: that is one product of matrices.
 */
function isOverlapping(node: Node, view: View): boolean {
  const kernel = productOf(node, view).weight?.dims.slice(2) ?? [];
  const strides = intsAttr(node, 'strides') ?? kernel.map(() => 1);
  return (intAttr(node, 'group') ?? 1) > 1 || kernel.every((side) => side === 1) || kernel.join() !== strides.join();
}

/**
 * Weights as int8, activations quantised as they come: DynamicQuantizeLinear, an integer product, and the product of both
 * scales behind it, in the shape that ONNX Runtime fuses into one kernel (core/optimizer/matmul_integer_to_float.cc).
 *
 * @param positions of the nodes to take: of types in `DYNAMIC_TYPES`, none of them refused
 */
export function writeInteger(view: View, positions: ReadonlySet<number>, options: WeightOptions): Model {
  const writer = new IntegerWriter(view, options);
  for (const position of view.index.order) writer.add(view.node(position), positions.has(position));
  return writer.model();
}

/** What DynamicQuantizeLinear made of an activation. */
interface Dynamic {
  readonly values: string;
  readonly scale: string;
  readonly zeroPoint: string;
}

class IntegerWriter {
  readonly #view: View;
  readonly #options: WeightOptions;
  readonly #emitter: Emitter;
  readonly #activations = new Map<string, Dynamic>();
  readonly #products = new Set<string>();

  constructor(view: View, options: WeightOptions) {
    this.#view = view;
    this.#options = options;
    this.#emitter = new Emitter(view.model);
  }

  model(): Model {
    return this.#emitter.model();
  }

  add(node: Node, chosen: boolean): void {
    if (!chosen) this.#emitter.add(this.#biasLast(node));
    else if (node.opType === 'Gather') this.#table(node);
    else if (node.opType === 'Conv') this.#conv(node);
    else this.#matrix(node);
  }

  /** The runtime's kernel takes the bias of an Add in when it is the second operand. */
  #biasLast(node: Node): Node {
    const [a, b] = node.inputs as [string, string];
    const swap = node.opType === 'Add' && node.domain === '' && this.#products.has(b) && this.#view.index.isConstant(a);
    return swap ? { ...node, inputs: [b, a] } : node;
  }

  #table(node: Node): void {
    const [table, indices] = node.inputs as [string, string];
    const output = node.outputs[0] as string;
    const { values, scale, zeroPoint } = this.#weight(this.#view.weight(table) as Initializer, 1, undefined);
    const rows = this.#emitter.free(`${output}_quantized`);
    this.#emitter.add({ ...node, inputs: [values, indices], outputs: [rows] });
    dequantize(this.#emitter, { values: rows, scale, zeroPoint }, output);
  }

  #matrix(node: Node): void {
    const { weight, axis, alpha, beta, bias } = productOf(node, this.#view);
    const transposed = node.opType === 'Gemm' && intAttr(node, 'transB') === 1;
    const matrix = transposed ? transpose(weight as Initializer) : (weight as Initializer);
    const columns = axis === undefined ? undefined : 1;
    const stored = this.#weight(matrix, alpha, this.#options.perChannel ? columns : undefined);
    const x = this.#dynamic(node.inputs[0] as string);
    const output = node.outputs[0] as string;
    const product = bias ? this.#emitter.free(`${output}_product`) : output;
    this.#scaled(node, 'MatMulInteger', [x.values, stored.values, x.zeroPoint, stored.zeroPoint], product, [
      x.scale,
      stored.scale,
    ]);
    this.#products.add(product);
    if (!bias) return;
    const values = weightValues(bias).map((b) => b * beta);
    const row = values.length > 1 ? [values.length] : [];
    const name = this.#emitter.constant(`${bias.name}_row`, float32Tensor(row, values));
    this.#emitter.node('Add', [product, name], output);
  }

  #conv(node: Node): void {
    const { weight, bias } = productOf(node, this.#view);
    const { dims } = weight as Initializer;
    const stored = this.#weight(weight as Initializer, 1, this.#options.perChannel ? 0 : undefined, dims.length - 2);
    const x = this.#dynamic(node.inputs[0] as string);
    const output = node.outputs[0] as string;
    const product = bias ? this.#emitter.free(`${output}_product`) : output;
    const inputs = [x.values, stored.values, x.zeroPoint];
    this.#scaled(node, 'ConvInteger', inputs, product, [x.scale, stored.scale]);
    if (!bias) return;
    const shape = [bias.dims[0] as number, ...Array<number>(dims.length - 2).fill(1)];
    const name = this.#emitter.constant(`${bias.name}_map`, float32Tensor(shape, weightValues(bias)));
    this.#emitter.node('Add', [product, name], output);
  }

  /** An integer product, made float and brought to scale. */
  #scaled(node: Node, opType: string, inputs: readonly string[], output: string, scales: readonly string[]): void {
    const label = nodeLabel(node);
    const attributes = opType === 'ConvInteger' ? node.attributes : [];
    const sums = this.#emitter.free(`${output}_sums`);
    this.#emitter.add({ ...node, opType, inputs, outputs: [sums], attributes, name: label });
    const float = this.#emitter.node('Cast', [sums], this.#emitter.free(`${output}_unscaled`), {
      to: DATA_TYPE.float32,
    });
    const scale = this.#emitter.node('Mul', scales, this.#emitter.free(`${output}_scale`));
    this.#emitter.node('Mul', [float, scale], output);
  }

  #dynamic(tensor: string): Dynamic {
    const known = this.#activations.get(tensor);
    if (known) return known;
    const [values, scale, zeroPoint] = ['quantized', 'scale', 'zero_point'].map((part) =>
      this.#emitter.free(`${tensor}_${part}`),
    ) as [string, string, string];
    this.#emitter.add({
      ...{ name: `${tensor}_quantize`, opType: 'DynamicQuantizeLinear', domain: '', inputs: [tensor] },
      ...{ outputs: [values, scale, zeroPoint], attributes: attributesOf({}) },
      ...{ docString: '', overload: '', metadataProps: [] },
    });
    const made = { values, scale, zeroPoint };
    this.#activations.set(tensor, made);
    return made;
  }

  /** @param trailing dimensions of size 1 behind the scales, so that they go with the channels of a feature map */
  #weight(weight: Initializer, alpha: number, axis: number | undefined, trailing = 0): Dynamic {
    const given = weightValues(weight);
    const values = alpha === 1 ? given : given.map((w) => w * alpha);
    const steps = this.#options.reduceRange ? REDUCED_STEPS : WEIGHT_STEPS;
    const scales = weightScales(magnitudes(values, layoutOf(weight.dims, axis)), steps);
    const quantised = quantiseWeight(values, weight.dims, axis, scales);
    const shape = axis === undefined ? [] : [scales.length];
    const bytes = new Uint8Array(quantised.values.buffer);
    return {
      values: this.#emitter.sharedConstant(`${weight.name}_quantized`, denseTensor('int8', weight.dims, bytes)),
      scale: this.#emitter.sharedConstant(
        `${weight.name}_scale`,
        float32Tensor(axis === undefined ? [] : [...shape, ...Array<number>(trailing).fill(1)], scales),
      ),
      zeroPoint: this.#emitter.sharedConstant('zero_points', denseTensor('int8', shape, new Uint8Array(scales.length))),
    };
  }
}

/** A matrix's columns as rows. */
function transpose(weight: Initializer): Initializer {
  const [rows, columns] = weight.dims as [number, number];
  const values = weightValues(weight);
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j] as number;
  }
  return { ...weight, dims: [columns, rows], data: { kind: 'raw', bytes: new Uint8Array(result.buffer) } };
}
