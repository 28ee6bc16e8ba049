import { GraphIndex } from '../../graph.js';
import { initializerElements, initializerTensor } from '../../initializer.js';
import type { Graph, Model, Node } from '../../model.js';
import { isOnnxDomain } from '../../passes/walk.js';
import { float32Values } from '../../tensor.js';

/**
 * Makes one node of each GELU that a model spells out, x (1 + erf(x / sqrt 2)) / 2 in any order of its products: ONNX
 * Runtime would, but not where the gradient uses what is between. One node is one pass over memory, and nothing but x is
 * kept for its gradient.
 *
 * @param keep tensors that stay
 */
export function fuseGelu(model: Model, keep: readonly string[]): Model {
  const { graph } = model;
  const finder = new GeluFinder(graph, keep);
  const found = graph.nodes.flatMap((node, position) => finder.at(node, position) ?? []);
  if (found.length === 0) return model;
  const gone = new Set(found.flatMap(({ positions }) => positions));
  const at = new Map(found.map(({ last, node }) => [last, node]));
  const nodes = graph.nodes.flatMap((node, position) => at.get(position) ?? (gone.has(position) ? [] : node));
  const known = model.opsetImport.some(({ domain }) => domain === 'com.microsoft');
  const opsetImport = known ? model.opsetImport : [...model.opsetImport, { domain: 'com.microsoft', version: 1 }];
  return { ...model, opsetImport, graph: { ...graph, nodes } };
}

interface Found {
  /** Of the nodes that it takes the place of. */
  readonly positions: readonly number[];
  /** That of the last of them. */
  readonly last: number;
  readonly node: Node;
}

class GeluFinder {
  readonly #graph: Graph;
  readonly #index: GraphIndex;
  readonly #keep: ReadonlySet<string>;
  readonly #constants: ReadonlyMap<string, number>;

  constructor(graph: Graph, keep: readonly string[]) {
    this.#graph = graph;
    this.#index = new GraphIndex(graph);
    this.#keep = new Set([...keep, ...graph.outputs.map(({ name }) => name)]);
    const scalars = graph.initializers.filter((each) => each.dataType === 1 && initializerElements(each) === 1);
    this.#constants = new Map(
      scalars.flatMap((each): [string, number][] => {
        const tensor = initializerTensor(each);
        return tensor.dtype === 'float32' ? [[each.name, float32Values(tensor)[0] as number]] : [];
      }),
    );
  }

  /** The GELU of which a node is the Erf. */
  at(node: Node, position: number): Found | undefined {
    if (!isOnnxDomain(node.domain) || node.opType !== 'Erf') return undefined;
    const scaled = this.#index.producer.get(node.inputs[0] as string);
    if (scaled === undefined || !this.#alone(node.inputs[0] as string)) return undefined;
    const x = this.#scaledBy(scaled, 'Div', Math.SQRT2) ?? this.#scaledBy(scaled, 'Mul', Math.SQRT1_2);
    const shifted = this.#next(position);
    if (x === undefined || shifted === undefined || this.#scaledBy(shifted, 'Add', 1) === undefined) return undefined;
    const positions = [scaled, position, shifted];
    // Behind it: x once and a half, in any order, or x / 2 at once.
    let [last, halved, multiplied] = [shifted, false, false];
    while (!(halved && multiplied)) {
      const following = this.#next(last);
      const { opType, inputs } = following === undefined ? { opType: '', inputs: [] } : this.#node(following);
      if (following === undefined || opType !== 'Mul') return undefined;
      const other = inputs.find((name) => name !== this.#node(last).outputs[0]) as string;
      const half = this.#index.producer.get(other);
      if (!halved && this.#constants.get(other) === 0.5) halved = true;
      else if (!multiplied && other === x) multiplied = true;
      else if (!halved && !multiplied && half !== undefined && this.#alone(other) && this.#scaledBy(half, 'Mul', 0.5) === x) {
        [halved, multiplied] = [true, true];
        positions.push(half);
      } else return undefined;
      positions.push(following);
      last = following;
    }
    const { name, outputs } = this.#node(last);
    const made: Node = { ...this.#node(last), name, opType: 'Gelu', domain: 'com.microsoft', inputs: [x], outputs };
    return { positions, last, node: made };
  }

  #node(position: number): Node {
    return this.#graph.nodes[position] as Node;
  }

  /** Whether one node alone takes a tensor. */
  #alone(tensor: string): boolean {
    return !this.#keep.has(tensor) && this.#index.consumers.get(tensor)?.length === 1;
  }

  /** The one node that takes what a node gives. */
  #next(position: number): number | undefined {
    const output = this.#node(position).outputs[0] as string;
    return this.#alone(output) ? this.#index.consumers.get(output)?.[0] : undefined;
  }

  /** The operand of a node that is OPERAND op NUMBER. */
  #scaledBy(position: number, opType: string, number: number): string | undefined {
    const { inputs, domain, opType: own } = this.#node(position);
    if (!isOnnxDomain(domain) || own !== opType) return undefined;
    const isNumber = (name: string | undefined): boolean => {
      const value = this.#constants.get(name ?? '');
      return value !== undefined && Math.abs(value - number) < 1e-6;
    };
    if (isNumber(inputs[1])) return inputs[0];
    return opType !== 'Div' && isNumber(inputs[0]) ? inputs[1] : undefined;
  }
}
