import type { Node } from '../../../onnx/model.js';
import type { Range } from '../range.js';
import type { ActivationType } from './activations.js';
import { type Choice, candidates, type LeftNode } from './choice.js';
import { clipBounds, clipped } from './clip.js';
import { NODE_TYPES, type NodeType } from './node-types.js';
import { nodeLabel, type View } from './view.js';

/**
 * How a node is quantised:
 * - `int8`: takes and gives int8 (a product may give float)
 * - `absorbed`: Relu and Clip that are gone, as what comes before saturates where they cut off
 * - `floor`: Relu over a range that is symmetric around 0, as a LeakyRelu of slope 0, which has an int8 kernel
 * - `table`: rows picked from an int8 table, and made float
 */
export type Form = 'int8' | 'absorbed' | 'floor' | 'table';

export interface PlannedNode {
  readonly node: Node;
  readonly type: NodeType;
  readonly form: Form;
  /** Whether its outputs are int8. Only products can do without: kernels of Gemm and MatMul give float at no cost. */
  readonly int8Output: boolean;
}

/** What is quantised, and how; ranges are not known yet. */
export interface Plan {
  readonly view: View;
  readonly activations: ActivationType;
  /** By the node's position. */
  readonly nodes: ReadonlyMap<number, PlannedNode>;
  readonly left: readonly LeftNode[];
  /** Tensors whose ranges must be known. */
  readonly tensors: readonly string[];
}

/**
 * Chooses what becomes int8. Products with weights are worth it by themselves; everything else only in between: a node
 * is taken when int8 comes in and int8 is wanted behind it, so that no tensor is quantised just to be dequantised.
 * Conv's int8 kernel has no float output, so int8 comes from there by itself; MatMul's and Gemm's have, so elementwise
 * nodes behind these (the biases, residuals and normalisations of transformers) keep float at full precision.
 */
export function planQuantisation(view: View, choice: Choice, activations: ActivationType): Plan {
  const { types, left } = candidates(view, choice, NODE_TYPES);
  const planner = new Planner(view, types, activations);
  const nodes = planner.run();
  const reasons = new Map(left.map((entry) => [entry.position, entry]));
  for (const [i, type] of types) {
    if (nodes.has(i)) continue;
    const node = view.node(i);
    reasons.set(i, { position: i, name: nodeLabel(node), type: node.opType, reason: whyNot(type) });
  }
  const plan = { view, activations, nodes, left: [...reasons.values()].sort((a, b) => a.position - b.position) };
  return { ...plan, tensors: neededRanges({ ...plan, tensors: [] }) };
}

function whyNot({ kind }: NodeType): string {
  return kind === 'between' || kind === 'clip'
    ? 'it is not between int8 nodes, so that int8 would gain nothing'
    : 'what it takes is float';
}

class Planner {
  readonly #view: View;
  readonly #types: Map<number, NodeType>;
  readonly #symmetric: boolean;
  /** Tensors that come as int8 from a chosen node. */
  #int8 = new Set<string>();
  /** Tensors that a chosen node takes as int8, and those that nothing else takes. */
  #wanted = new Set<string>();
  #onlyWanted = new Set<string>();

  constructor(view: View, types: ReadonlyMap<number, NodeType>, activations: ActivationType) {
    this.#view = view;
    this.#types = new Map(types);
    this.#symmetric = activations === 'int8';
  }

  run(): ReadonlyMap<number, PlannedNode> {
    // Dropping one node may leave another without int8 before or behind it.
    for (let before = -1; before !== this.#types.size; ) {
      before = this.#types.size;
      this.#lookBack();
      this.#lookAhead();
    }
    const planned = new Map<number, PlannedNode>();
    for (const [i, type] of this.#types) {
      const node = this.#view.node(i);
      const form = this.#formOf(i, type) as Form;
      planned.set(i, { node, type, form, int8Output: node.outputs.some((name) => this.#int8.has(name)) });
    }
    return planned;
  }

  /** From the outputs to the inputs: which tensors are wanted as int8. */
  #lookBack(): void {
    this.#wanted = new Set();
    this.#onlyWanted = new Set();
    for (const i of this.#view.index.order.toReversed()) {
      for (const name of this.#view.node(i).outputs) {
        if (name === '') continue;
        const takers = this.#view.consumers(name).map((j) => this.#takes(j, name));
        if (takers.some(({ some }) => some)) this.#wanted.add(name);
        if (takers.length > 0 && takers.every(({ only }) => only) && !this.#view.isOutput(name)) {
          this.#onlyWanted.add(name);
        }
      }
    }
  }

  /** Whether a node takes a tensor as int8, and whether everything behind it does. */
  #takes(position: number, tensor: string): { some: boolean; only: boolean } {
    const type = this.#types.get(position);
    const node = this.#view.node(position);
    if (!type?.activations(node, this.#view).some((i) => node.inputs[i] === tensor)) {
      return { some: false, only: false };
    }
    if (type.kind === 'product') return { some: true, only: true };
    const outputs = node.outputs.filter((name) => name !== '');
    const some = outputs.some((name) => this.#wanted.has(name));
    if (type.kind === 'between') return { some, only: false };
    return { some, only: outputs.every((name) => this.#onlyWanted.has(name)) };
  }

  /** From the inputs to the outputs: which tensors come as int8. Drops the nodes that take none, or give none. */
  #lookAhead(): void {
    this.#int8 = new Set();
    for (const i of this.#view.index.order) {
      const type = this.#types.get(i);
      if (!type) continue;
      if (!this.#formOf(i, type)) {
        this.#types.delete(i);
        continue;
      }
      const { outputs, opType } = this.#view.node(i);
      for (const name of outputs) {
        if (name === '' || type.kind === 'table') continue;
        const floatIsFree = type.kind === 'product' && opType !== 'Conv';
        if (!floatIsFree || this.#onlyWanted.has(name)) this.#int8.add(name);
      }
    }
  }

  /** How a node is quantised with what is int8 before it and wanted behind it; undefined when it is not. */
  #formOf(position: number, { kind, grows, activations }: NodeType): Form | undefined {
    const node = this.#view.node(position);
    if (kind === 'table') return 'table';
    if (kind === 'product') return 'int8';
    if (!activations(node, this.#view).some((i) => this.#int8.has(node.inputs[i] as string))) return undefined;
    const wanted = node.outputs.some((name) => this.#wanted.has(name));
    if (kind === 'clip') return this.#formOfClip(node, wanted);
    return (kind === 'pass' && !grows) || wanted ? 'int8' : undefined;
  }

  #formOfClip(node: Node, wanted: boolean): Form | undefined {
    const input = node.inputs[0] as string;
    const alone = this.#view.consumers(input).length === 1 && !this.#view.isOutput(input);
    const bounds = clipBounds(node, this.#view) as Range;
    const before = this.#types.get(this.#view.index.producer.get(input) ?? -1)?.kind;
    const own = alone && (before === 'product' || before === 'between');
    if (own && !this.#symmetric) return 'absorbed';
    // Its upper bound holds as the range of what comes before ends there: that takes a range that is its alone.
    const floor = bounds.min === 0 && (bounds.max === Number.POSITIVE_INFINITY || own);
    return floor && wanted ? 'floor' : undefined;
  }
}

/**
 * The tensor whose range an int8 tensor has: its own, or that of the tensor that shares its scale. A node that passes
 * elements on has one range on both sides; what a Clip is absorbed into has the Clip's.
 */
export function rangeSource(plan: Plan, tensor: string): string {
  const { view, nodes } = plan;
  const cut = soleClip(plan, tensor);
  if (cut) return cut.outputs[0] as string;
  const made = nodes.get(view.index.producer.get(tensor) ?? -1);
  if (made?.type.kind === 'pass' && made.int8Output) return rangeSource(plan, made.node.inputs[0] as string);
  return tensor;
}

/** The Relu or Clip that alone uses a tensor, when it is quantised and the tensor takes its range. */
export function soleClip({ view, nodes }: Plan, tensor: string): Node | undefined {
  const [consumer, ...more] = view.consumers(tensor);
  if (consumer === undefined || more.length > 0 || view.isOutput(tensor)) return undefined;
  const planned = nodes.get(consumer);
  const before = nodes.get(view.index.producer.get(tensor) ?? -1)?.type.kind;
  const own = before === 'product' || before === 'between';
  return own && planned?.type.kind === 'clip' ? planned.node : undefined;
}

/** The name that a node's output goes by: that of the Relu or Clip that is absorbed into the node, where there is one. */
export function resultName(plan: Plan, output: string): string {
  const cut = output === '' ? undefined : soleClip(plan, output)?.outputs[0];
  const planned = cut === undefined ? undefined : plan.nodes.get(plan.view.index.producer.get(cut) as number);
  return cut !== undefined && planned?.form === 'absorbed' ? cut : output;
}

/** The tensors that are int8 in a plan: what its nodes take, and what they give. */
function neededRanges(plan: Plan): string[] {
  const { view, nodes } = plan;
  const needed = new Set<string>();
  for (const { node, type, int8Output } of nodes.values()) {
    for (const i of type.activations(node, view)) {
      const name = node.inputs[i] as string;
      if (!view.index.isConstant(name)) needed.add(rangeSource(plan, name));
    }
    if (int8Output) for (const name of node.outputs) if (name !== '') needed.add(rangeSource(plan, name));
  }
  return [...needed];
}

/**
 * The range of a tensor among those that were measured. A tensor that was not measured takes the range that it would
 * share with what it is made of: so a plan with fewer int8 nodes needs no new measurement.
 */
export function rangeOf(plan: Plan, ranges: ReadonlyMap<string, Range>, tensor: string): Range | undefined {
  const { view } = plan;
  const position = view.index.producer.get(tensor);
  const node = position === undefined ? undefined : view.node(position);
  const bounds = node && (node.opType === 'Relu' || node.opType === 'Clip') ? clipBounds(node, view) : undefined;
  const found = ranges.get(tensor) ?? (node && sharedRange(plan, ranges, node));
  return found && bounds ? clipped(found, bounds) : found;
}

const SHARING: ReadonlySet<string> = new Set([
  ...['MaxPool', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Flatten', 'Slice', 'Split', 'Expand', 'Tile'],
  ...['Pad', 'Resize', 'Relu', 'Clip'],
]);

function sharedRange(plan: Plan, ranges: ReadonlyMap<string, Range>, node: Node): Range | undefined {
  if (node.domain !== '' || !SHARING.has(node.opType)) return undefined;
  return rangeOf(plan, ranges, node.inputs[0] as string);
}
