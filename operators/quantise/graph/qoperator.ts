import { type Attributes, attributesOf, float } from '../../../onnx/build.js';
import type { Attribute, Model } from '../../../onnx/model.js';
import type { Range } from '../range.js';
import { MICROSOFT } from './emitter.js';
import type { Parts, Stored, WeightOptions } from './parts.js';
import { type Plan, type PlannedNode, resultName } from './plan.js';
import { PlanWriter } from './plan-writer.js';

/**
 * A plan in the QOperator format: int8 nodes are ONNX's QLinear operators, and ONNX Runtime's own where ONNX has none.
 * QuantizeLinear and DequantizeLinear stand only where int8 and float meet.
 *
 * @param ranges of the plan's tensors, all finite
 */
export function writeQOperator(plan: Plan, ranges: ReadonlyMap<string, Range>, options: WeightOptions): Model {
  return new QOperatorWriter(plan, ranges, options).write();
}

class QOperatorWriter extends PlanWriter {
  protected override floor(planned: PlannedNode): void {
    this.#unary(planned, 'QLinearLeakyRelu', attributesOf({ alpha: float(0) }));
  }

  protected override int8(planned: PlannedNode): void {
    const { node } = planned;
    switch (node.opType) {
      case 'Conv':
        this.#conv(planned);
        break;
      case 'Gemm':
        this.#gemm(planned);
        break;
      case 'MatMul':
        this.#matMul(planned);
        break;
      case 'Add':
      case 'Mul':
        this.#binary(planned);
        break;
      case 'Concat':
        this.#concat(planned);
        break;
      case 'AveragePool':
      case 'GlobalAveragePool':
      case 'Sigmoid':
      case 'LeakyRelu':
        this.#unary(planned, `QLinear${node.opType}`, node.attributes);
        break;
      case 'Softmax':
        this.#unary(planned, 'QLinearSoftmax', [...node.attributes, ...attributesOf({ opset: this.#opset() })]);
        break;
      default:
        this.#pass(planned);
    }
  }

  #conv(planned: PlannedNode): void {
    const { weight, bias } = this.parts.product(planned) as NonNullable<ReturnType<Parts['product']>>;
    const inputs = [...triple(this.#taken(planned, 0)), ...triple(weight), ...this.#given(planned)];
    if (bias) inputs.push(bias.values);
    this.#put(planned, 'QLinearConv', inputs, planned.node.attributes, '');
  }

  #gemm(planned: PlannedNode): void {
    const { weight, bias } = this.parts.product(planned) as NonNullable<ReturnType<Parts['product']>>;
    const inputs = [...triple(this.#taken(planned, 0)), ...triple(weight), bias?.values ?? ''];
    if (planned.int8Output) inputs.push(...this.#given(planned));
    while (inputs.at(-1) === '') inputs.pop();
    const attributes = planned.node.attributes.filter(({ name }) => name !== 'alpha' && name !== 'beta');
    this.#put(planned, 'QGemm', inputs, attributes, MICROSOFT);
  }

  #matMul(planned: PlannedNode): void {
    const a = this.#taken(planned, 0);
    const b = this.parts.product(planned)?.weight ?? this.#taken(planned, 1);
    if (planned.int8Output) {
      this.#put(planned, 'QLinearMatMul', [...triple(a), ...triple(b), ...this.#given(planned)], [], '');
      return;
    }
    const inputs = [a.values, b.values, a.scale, b.scale, a.zeroPoint, b.zeroPoint];
    this.#put(planned, 'MatMulIntegerToFloat', inputs, [], MICROSOFT);
  }

  #binary(planned: PlannedNode): void {
    const inputs = [...triple(this.#taken(planned, 0)), ...triple(this.#taken(planned, 1)), ...this.#given(planned)];
    this.#put(planned, `QLinear${planned.node.opType}`, inputs, [], MICROSOFT);
  }

  #concat(planned: PlannedNode): void {
    const inputs = planned.node.inputs.flatMap((_, i) => triple(this.#taken(planned, i)));
    this.#put(planned, 'QLinearConcat', [...this.#given(planned), ...inputs], planned.node.attributes, MICROSOFT);
  }

  #unary(planned: PlannedNode, opType: string, attributes: readonly Attribute[]): void {
    this.#put(planned, opType, [...triple(this.#taken(planned, 0)), ...this.#given(planned)], attributes, MICROSOFT);
  }

  /** A node that runs on int8 elements as it is. */
  #pass(planned: PlannedNode): void {
    const { node } = planned;
    const stored = this.#taken(planned, 0);
    const inputs = [stored.values, ...node.inputs.slice(1).map((name) => this.tensors.float(name))];
    // Pads with 0, which is the zero point.
    if (node.opType === 'Pad') inputs[2] = stored.zeroPoint;
    const outputs = node.outputs.map((name) => (name === '' ? '' : this.tensors.quantisedName(name)));
    this.emitter.add({ ...node, inputs, outputs });
    node.outputs.forEach((name, i) => {
      if (name !== '') this.#made(name, outputs[i] as string);
    });
  }

  #opset(): number {
    return this.plan.view.model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 13;
  }

  #taken(planned: PlannedNode, input: number): Stored {
    return this.tensors.quantised(planned.node.inputs[input] as string);
  }

  /** Scale and zero point of what a node gives. */
  #given({ node }: PlannedNode): [string, string] {
    const { scale, zeroPoint } = this.parts.scaleOf(node.outputs[0] as string);
    return [scale, zeroPoint];
  }

  #put(
    planned: PlannedNode,
    opType: string,
    inputs: readonly string[],
    attributes: readonly Attribute[],
    domain: string,
  ): void {
    const { node, int8Output } = planned;
    const result = resultName(this.plan, node.outputs[0] as string);
    const output = int8Output ? this.tensors.quantisedName(result) : result;
    const given: Attributes = Object.fromEntries(attributes.map(({ name, value }) => [name, value]));
    this.emitter.node(opType, inputs, output, given, { domain, name: node.name });
    if (int8Output) this.#made(result, output);
  }

  #made(tensor: string, values: string): void {
    this.tensors.made(tensor, values);
    if (this.tensors.isFinal(tensor)) this.tensors.dequantised(tensor);
  }
}

function triple({ values, scale, zeroPoint }: Stored): [string, string, string] {
  return [values, scale, zeroPoint];
}
