import { captures } from '../../../onnx/graph.js';
import type { Graph } from '../../../onnx/model.js';
import type { Emitter } from './emitter.js';
import type { Parts, Stored } from './parts.js';
import type { Plan } from './plan.js';

/** Tensors that must be there as float under their own name: outputs, and what subgraphs use. */
export function finalTensors({ outputs, nodes }: Graph): ReadonlySet<string> {
  return new Set([...outputs.map(({ name }) => name), ...nodes.flatMap((node) => [...captures(node)])]);
}

/** The tensors of a graph that is being quantised, as int8 and as float; each is converted at most once. */
export class Tensors {
  readonly #plan: Plan;
  readonly #parts: Parts;
  readonly #emitter: Emitter;
  readonly #quantised = new Map<string, Stored>();
  readonly #dequantised = new Map<string, string>();
  readonly #final: ReadonlySet<string>;

  constructor(plan: Plan, parts: Parts, emitter: Emitter) {
    this.#plan = plan;
    this.#parts = parts;
    this.#emitter = emitter;
    this.#final = finalTensors(plan.view.model.graph);
  }

  /** Whether a tensor's float form must have the tensor's own name. */
  isFinal(tensor: string): boolean {
    return this.#final.has(tensor);
  }

  /** Whether a tensor comes as int8 from the node that makes it. */
  isMadeInt8(tensor: string): boolean {
    const made = this.#plan.nodes.get(this.#plan.view.index.producer.get(tensor) ?? -1);
    return made?.int8Output === true;
  }

  /** A name for a tensor's int8 elements. */
  quantisedName(tensor: string): string {
    return this.#emitter.free(`${tensor}_quantized`);
  }

  /** Says that a node has made a tensor's int8 elements. */
  made(tensor: string, values: string): void {
    this.#quantised.set(tensor, { values, ...this.#parts.scaleOf(tensor) });
  }

  /** A tensor as int8: as it was made, as a constant, or by a QuantizeLinear behind its float form. */
  quantised(tensor: string): Stored {
    const known = this.#quantised.get(tensor);
    if (known) return known;
    const weight = this.#plan.view.weight(tensor);
    const stored = weight ? this.#parts.constant(weight) : this.quantise(tensor, tensor);
    this.#quantised.set(tensor, stored);
    return stored;
  }

  /** Adds a QuantizeLinear. @param float the tensor's float form @returns the int8 form */
  quantise(tensor: string, float: string): Stored {
    const params = this.#parts.scaleOf(tensor);
    const values = this.quantisedName(tensor);
    this.#emitter.node('QuantizeLinear', [float, params.scale, params.zeroPoint], values);
    const stored = { values, ...params };
    this.#quantised.set(tensor, stored);
    return stored;
  }

  /** A tensor's int8 form made float again, under its own name where that is free. */
  dequantised(tensor: string): string {
    const known = this.#dequantised.get(tensor);
    if (known !== undefined) return known;
    const stored = this.quantised(tensor);
    const name = this.#dequantisedName(tensor);
    this.#dequantised.set(tensor, name);
    return dequantize(this.#emitter, stored, name);
  }

  /** A tensor as float: as it was made, or made float again where it was made as int8. */
  float(tensor: string): string {
    return tensor !== '' && this.isMadeInt8(tensor) ? this.dequantised(tensor) : tensor;
  }

  #dequantisedName(tensor: string): string {
    return this.isMadeInt8(tensor) && this.isFinal(tensor) ? tensor : this.#emitter.free(`${tensor}_dequantized`);
  }
}

/** Adds a DequantizeLinear. @returns its output */
export function dequantize(
  emitter: Emitter,
  { values, scale, zeroPoint, axis }: { values: string; scale: string; zeroPoint?: string; axis?: number | undefined },
  output: string,
): string {
  const inputs = zeroPoint === undefined ? [values, scale] : [values, scale, zeroPoint];
  return emitter.node('DequantizeLinear', inputs, output, { axis });
}
