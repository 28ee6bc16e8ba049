import { GraphIndex } from '../graph.js';
import { initializerTensor } from '../initializer.js';
import type { Graph, Model, Node } from '../model.js';
import { isOnnxDomain } from '../passes/walk.js';
import { float32Values } from '../tensor.js';

/**
 * Makes one operator, ONNX Runtime's own Gelu, of each x (1 + erf(x / sqrt 2)) / 2 that is written out, as exporters
 * write it. Forward it is what the runtime does by itself where nothing takes the tensors in between; differentiated node
 * by node all of these would be taken, kept until then, and read and written once more each.
 *
 * @param kept tensors that stay, as outputs of the graph do
 */
export function fuseGelu(model: Model, kept: readonly string[] = []): Model {
  const { graph } = model;
  if (!graph.nodes.some((node) => isOperator(node, 'Erf'))) return model;
  const found = new Map<number, Found>();
  const chains = new Chains(graph, kept);
  for (const [position, node] of graph.nodes.entries()) {
    const match = isOperator(node, 'Mul') ? chains.endingAt(position) : undefined;
    if (match) found.set(position, match);
  }
  if (found.size === 0) return model;
  const dropped = new Set([...found.values()].flatMap(({ inner }) => inner));
  const nodes = graph.nodes.flatMap((node, position) => {
    const match = found.get(position);
    if (match) return [{ ...node, opType: 'Gelu', domain: MICROSOFT, inputs: [match.x], attributes: [] }];
    return dropped.has(position) ? [] : [node];
  });
  const known = model.opsetImport.some(({ domain }) => domain === MICROSOFT);
  const opsetImport = known ? model.opsetImport : [...model.opsetImport, { domain: MICROSOFT, version: 1 }];
  return { ...model, opsetImport, graph: { ...graph, nodes } };
}

const MICROSOFT = 'com.microsoft';

interface Found {
  readonly x: string;
  /** Positions of the nodes that go: all but the last. */
  readonly inner: readonly number[];
}

class Chains {
  readonly #index: GraphIndex;
  readonly #kept: ReadonlySet<string>;
  readonly #scalars: ReadonlyMap<string, number>;

  constructor(graph: Graph, kept: readonly string[]) {
    this.#index = new GraphIndex(graph);
    this.#kept = new Set([...kept, ...graph.outputs.map(({ name }) => name)]);
    const given = new Set(graph.inputs.map(({ name }) => name));
    this.#scalars = new Map(
      graph.initializers.flatMap((each) => {
        if (given.has(each.name) || each.dims.length > 1 || each.dims.some((size) => size !== 1)) return [];
        const tensor = initializerTensor(each);
        return tensor.dtype === 'float32' ? [[each.name, float32Values(tensor)[0] as number] as const] : [];
      }),
    );
  }

  /** The three factors x, 1 + erf and 1/2 of a product, in any order. */
  endingAt(position: number): Found | undefined {
    for (const [first, second] of pairs(this.#node(position))) {
      const inner = this.#alone(first, 'Mul');
      if (inner === undefined) continue;
      for (const [a, b] of pairs(this.#node(inner))) {
        for (const [half, sum, x] of [
          [second, a, b],
          [a, second, b],
          [a, b, second],
        ] as const) {
          const erf = this.#isNear(half, 0.5) ? this.#shiftedErf(sum, x) : undefined;
          if (erf) return { x, inner: [inner, ...erf] };
        }
      }
    }
    return undefined;
  }

  /** The nodes of 1 + erf(x / sqrt 2). */
  #shiftedErf(tensor: string, x: string): number[] | undefined {
    const add = this.#alone(tensor, 'Add');
    for (const [term, one] of add === undefined ? [] : pairs(this.#node(add))) {
      const erf = this.#isNear(one, 1) ? this.#alone(term, 'Erf') : undefined;
      const scaled = erf === undefined ? undefined : (this.#node(erf).inputs[0] as string);
      const scale = scaled === undefined ? undefined : this.#scaling(scaled, x);
      if (add !== undefined && erf !== undefined && scale !== undefined) return [add, erf, scale];
    }
    return undefined;
  }

  /** The node of x / sqrt 2. */
  #scaling(tensor: string, x: string): number | undefined {
    const divided = this.#alone(tensor, 'Div');
    if (divided !== undefined) {
      const [dividend, divisor] = this.#node(divided).inputs;
      return dividend === x && this.#isNear(divisor as string, Math.SQRT2) ? divided : undefined;
    }
    const multiplied = this.#alone(tensor, 'Mul');
    if (multiplied === undefined) return undefined;
    const isIt = pairs(this.#node(multiplied)).some(([a, b]) => a === x && this.#isNear(b, Math.SQRT1_2));
    return isIt ? multiplied : undefined;
  }

  /** The node that makes a tensor, where it is of that type and the tensor has no more than one use. */
  #alone(tensor: string, opType: string): number | undefined {
    const producer = this.#index.producer.get(tensor);
    if (producer === undefined || this.#kept.has(tensor)) return undefined;
    const uses = this.#index.consumers.get(tensor) ?? [];
    return uses.length === 1 && isOperator(this.#node(producer), opType) ? producer : undefined;
  }

  #isNear(tensor: string, value: number): boolean {
    const scalar = this.#scalars.get(tensor);
    return scalar !== undefined && Math.abs(scalar - value) <= 1e-4 * value;
  }

  #node(position: number): Node {
    return this.#index.graph.nodes[position] as Node;
  }
}

function isOperator({ domain, opType }: Node, name: string): boolean {
  return isOnnxDomain(domain) && opType === name;
}

/** Both operands, in both orders. */
function pairs({ inputs }: Node): readonly (readonly [string, string])[] {
  const [a = '', b = ''] = inputs;
  return [
    [a, b],
    [b, a],
  ];
}
