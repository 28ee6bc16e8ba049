import { attributesOf, float } from '../../../onnx/build.js';
import type { Model, Node } from '../../../onnx/model.js';
import type { Range } from '../range.js';
import type { Stored, WeightOptions } from './parts.js';
import { type Plan, type PlannedNode, resultName } from './plan.js';
import { PlanWriter } from './plan-writer.js';
import { dequantize } from './tensors.js';

/**
 * A plan in the QDQ format: every int8 node is the float node between DequantizeLinear and QuantizeLinear, which
 * runtimes fuse into int8 kernels. Written as ONNX Runtime's selectors want it (core/optimizer/qdq_transformer): each
 * output of an int8 node goes to one QuantizeLinear and nothing else.
 *
 * @param ranges of the plan's tensors, all finite
 */
export function writeQdq(plan: Plan, ranges: ReadonlyMap<string, Range>, options: WeightOptions): Model {
  return new QdqWriter(plan, ranges, options).write();
}

class QdqWriter extends PlanWriter {
  protected override floor(planned: PlannedNode): void {
    const { node } = planned;
    this.#int8(planned, {
      ...{ ...node, opType: 'LeakyRelu', inputs: node.inputs.slice(0, 1) },
      attributes: attributesOf({ alpha: float(0) }),
    });
  }

  protected override int8(planned: PlannedNode): void {
    if (planned.node.opType === 'Pad' && this.plan.activations === 'uint8') this.#pad(planned);
    else this.#int8(planned, planned.node);
  }

  /** No runtime fuses a Pad with what is around it; its int8 kernel pads with the zero point, which is 0. */
  #pad({ node }: PlannedNode): void {
    const [x, pads, , axes] = node.inputs as [string, string, string?, string?];
    const output = node.outputs[0] as string;
    const stored = this.tensors.quantised(x);
    const values = this.tensors.quantisedName(output);
    const inputs = [stored.values, pads, stored.zeroPoint, ...(axes ? [axes] : [])];
    this.emitter.add({ ...node, inputs, outputs: [values] });
    this.tensors.made(output, values);
    if (this.tensors.isFinal(output)) this.tensors.dequantised(output);
  }

  #int8(planned: PlannedNode, node: Node): void {
    const { type, int8Output } = planned;
    const inputs = node.inputs.map((name) => this.tensors.float(name));
    for (const i of type.activations(planned.node, this.plan.view)) {
      inputs[i] = this.tensors.dequantised(node.inputs[i] as string);
    }
    this.#product(planned, inputs);
    const results = node.outputs.map((name) => resultName(this.plan, name));
    const outputs = results.map((name) =>
      int8Output && this.tensors.isFinal(name) ? this.emitter.free(`${name}_float`) : name,
    );
    this.emitter.add({ ...node, inputs, outputs, attributes: attributesFor(planned, node) });
    if (!int8Output) return;
    results.forEach((name, i) => {
      if (name === '') return;
      this.tensors.quantise(name, outputs[i] as string);
      if (this.tensors.isFinal(name)) this.tensors.dequantised(name);
    });
  }

  /** Puts a product's int8 weight and int32 bias in place of the float ones. */
  #product(planned: PlannedNode, inputs: string[]): void {
    if (planned.type.kind !== 'product') return;
    const stored = this.parts.product(planned);
    if (!stored) return;
    inputs[1] = this.#dequantisedWeight(stored.weight);
    if (stored.bias)
      inputs[2] = dequantize(this.emitter, stored.bias, this.emitter.free(`${stored.bias.values}_dequantized`));
  }

  readonly #weights = new Map<string, string>();

  #dequantisedWeight(weight: Stored): string {
    const known = this.#weights.get(weight.values);
    if (known !== undefined) return known;
    const name = dequantize(this.emitter, weight, this.emitter.free(`${weight.values}_dequantized`));
    this.#weights.set(weight.values, name);
    return name;
  }
}

/** Gemm's factors are in its weight and bias by now. */
function attributesFor({ type }: PlannedNode, node: Node): Node['attributes'] {
  if (type.kind !== 'product' || node.opType !== 'Gemm') return node.attributes;
  return node.attributes.filter(({ name }) => name !== 'alpha' && name !== 'beta');
}
