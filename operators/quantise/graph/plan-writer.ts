import type { Model, Node } from '../../../onnx/model.js';
import type { Range } from '../range.js';
import { Emitter } from './emitter.js';
import { Parts, type WeightOptions } from './parts.js';
import type { Plan, PlannedNode } from './plan.js';
import { dequantize, Tensors } from './tensors.js';

/** Writes a plan node by node, in running order. A format says what becomes of a node that computes in int8. */
export abstract class PlanWriter {
  protected readonly plan: Plan;
  protected readonly emitter: Emitter;
  protected readonly parts: Parts;
  protected readonly tensors: Tensors;

  /** @param ranges of the plan's tensors, all finite */
  constructor(plan: Plan, ranges: ReadonlyMap<string, Range>, options: WeightOptions) {
    this.plan = plan;
    this.emitter = new Emitter(plan.view.model);
    this.parts = new Parts(plan, ranges, options, this.emitter);
    this.tensors = new Tensors(plan, this.parts, this.emitter);
  }

  write(): Model {
    for (const position of this.plan.view.index.order) this.#add(position);
    return this.emitter.model();
  }

  /** A Relu whose input has another range than its output. */
  protected abstract floor(planned: PlannedNode): void;

  protected abstract int8(planned: PlannedNode): void;

  #add(position: number): void {
    const planned = this.plan.nodes.get(position);
    const node = this.plan.view.node(position);
    if (!planned) {
      this.emitter.add({ ...node, inputs: node.inputs.map((name) => this.tensors.float(name)) });
      return;
    }
    switch (planned.form) {
      case 'absorbed':
        return;
      case 'table':
        this.#table(node);
        return;
      case 'floor':
        this.floor(planned);
        return;
      case 'int8':
        this.int8(planned);
    }
  }

  /** Rows of an int8 table, made float behind the Gather. */
  #table(node: Node): void {
    const [table, indices] = node.inputs as [string, string];
    const output = node.outputs[0] as string;
    const stored = this.parts.table(this.plan.view.weight(table) as never);
    const rows = this.tensors.quantisedName(output);
    this.emitter.add({ ...node, inputs: [stored.values, indices], outputs: [rows] });
    dequantize(this.emitter, { ...stored, values: rows }, output);
  }
}
