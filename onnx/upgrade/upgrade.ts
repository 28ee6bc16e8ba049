import { TierbedError } from '../../base/errors.js';
import { initializerOf } from '../build/attributes.js';
import { usesOf } from '../graph.js';
import type { TensorType } from '../infer.js';
import { initializerTensor } from '../initializer.js';
import { DATA_TYPE, type FunctionProto, type Graph, type Initializer, type Model, type Node } from '../model.js';
import { weightOf } from '../passes/constant-nodes.js';
import type { FreshNames } from '../passes/names.js';
import { isOnnxDomain, withSubgraphs } from '../passes/walk.js';
import { type DenseTensor, float32Values } from '../tensor.js';
import { besides, type Change, type ChangeContext, nameOf } from './change.js';
import { CHANGES } from './changes/index.js';
import { UNCHANGED } from './unchanged.js';

/** What a list of nodes lies in: what is constant there, what is used, and where a new constant goes. */
interface Scope {
  readonly constants: Map<string, Initializer>;
  readonly used: ReadonlySet<string>;
  readonly add: (name: string, tensor: DenseTensor) => void;
}

/** Writes the nodes of one model in the forms of a newer version, and counts those that changed. */
export class Upgrade {
  /** Nodes that were written in another form, by operator. */
  readonly changed = new Map<string, number>();
  readonly #functions: ReadonlySet<string>;
  readonly #values: ReadonlyMap<string, TensorType>;
  readonly #names: FreshNames;
  readonly #target: number;

  constructor(model: Model, values: ReadonlyMap<string, TensorType>, names: FreshNames, target: number) {
    this.#functions = new Set(model.functions.map(({ domain, name }) => `${domain}:${name}`));
    this.#values = values;
    this.#names = names;
    this.#target = target;
  }

  /** @param outer constants of the graphs around */
  graph(graph: Graph, from: number, outer: ReadonlyMap<string, Initializer> = new Map()): Graph {
    const added: Initializer[] = [];
    const scope: Scope = {
      constants: constantsOf(graph, outer),
      used: usedNames(
        graph.nodes,
        graph.outputs.map(({ name }) => name),
      ),
      add: (name, tensor) => added.push(initializerOf(name, tensor)),
    };
    const nodes = graph.nodes.flatMap((node) => this.#node(node, from, scope));
    if (added.length === 0 && nodes.every((node, i) => node === graph.nodes[i])) return graph;
    return { ...graph, nodes, initializers: [...graph.initializers, ...added] };
  }

  /** A function's nodes. It can hold no weights: new constants are nodes. */
  functionBody(f: FunctionProto, from: number): Node[] {
    return f.nodes.flatMap((node) => {
      const constants: Node[] = [];
      const scope: Scope = {
        constants: new Map(),
        used: usedNames(f.nodes, f.outputs),
        add: (name, tensor) => constants.push(constantNode(node, name, tensor)),
      };
      const written = this.#node(node, from, scope);
      return [...constants, ...written];
    });
  }

  #node(node: Node, from: number, scope: Scope): readonly Node[] {
    const inner = withSubgraphs(node, (graph) => this.graph(graph, from, scope.constants));
    if (!isOnnxDomain(node.domain) || this.#functions.has(`${node.domain}:${node.opType}`)) return [inner];
    let nodes: readonly Node[] = [inner];
    for (let version = from + 1; version <= this.#target; version++) {
      nodes = nodes.flatMap((current) => this.#step(current, version, scope));
    }
    if (nodes.length !== 1 || nodes[0] !== inner) {
      this.changed.set(node.opType, (this.changed.get(node.opType) ?? 0) + 1);
    }
    return nodes;
  }

  #step(node: Node, version: number, scope: Scope): readonly Node[] {
    const changes = Object.hasOwn(CHANGES, node.opType) ? CHANGES[node.opType] : undefined;
    if (!changes && !UNCHANGED.has(node.opType))
      refuse(node, this.#target, 'what changed of its operator is not known');
    const change: Change | undefined = changes?.[version];
    if (!change) return [node];
    const open = node.attributes.find(({ refAttrName }) => refAttrName !== '');
    if (open) refuse(node, this.#target, `its attribute ${open.name} depends on the call of its function`);
    return change(node, this.#context(version, scope));
  }

  #context(version: number, scope: Scope): ChangeContext {
    return {
      version,
      constant: (stem, tensor) => {
        const name = this.#names.free(stem);
        scope.add(name, tensor);
        scope.constants.set(name, initializerOf(name, tensor));
        return name;
      },
      freeName: (stem) => this.#names.free(stem),
      dtype: (tensor) => this.#values.get(tensor)?.dtype,
      shape: (tensor) => this.#values.get(tensor)?.shape,
      floats: (tensor) => floatsOf(scope.constants.get(tensor)),
      isUsed: (tensor) => scope.used.has(tensor),
      refuse: (node, why) => refuse(node, this.#target, why),
    };
  }
}

function refuse(node: Node, target: number, why: string): never {
  throw new TierbedError(
    'invalid',
    `node ${nameOf(node)} (${node.opType}) cannot be written for opset ${target}: ${why}`,
    {
      fix: `export the model for opset ${target}`,
    },
  );
}

/** Weights and Constant nodes that a graph's nodes see. A weight that is an input may be given another value. */
function constantsOf(graph: Graph, outer: ReadonlyMap<string, Initializer>): Map<string, Initializer> {
  const constants = new Map(outer);
  for (const { outputs } of graph.nodes) for (const name of outputs) constants.delete(name);
  for (const weight of graph.initializers) constants.set(weight.name, weight);
  for (const node of graph.nodes) {
    const weight = weightOf(node);
    if (weight) constants.set(weight.name, weight);
  }
  for (const { name } of graph.inputs) constants.delete(name);
  return constants;
}

function usedNames(nodes: readonly Node[], outputs: readonly string[]): ReadonlySet<string> {
  const used = new Set(outputs);
  for (const node of nodes) for (const name of usesOf(node)) used.add(name);
  return used;
}

function floatsOf(weight: Initializer | undefined): readonly number[] | undefined {
  if (weight?.dataType !== DATA_TYPE.float32) return undefined;
  return [...float32Values(initializerTensor(weight))];
}

function constantNode(beside: Node, name: string, tensor: DenseTensor): Node {
  const value = { type: 'tensor', t: initializerOf('', tensor) } as const;
  const node = besides(beside, 'Constant', [], name, [{ name: 'value', docString: '', refAttrName: '', value }]);
  return { ...node, name };
}
