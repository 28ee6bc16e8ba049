import type { Attribute, FunctionProto, Graph, Model, Node } from '../model.js';

/** A call of a model-local function, written out as the nodes that it stands for. */
export interface Expansion {
  /** The function's nodes. Their tensors are the call's inputs and outputs, or are named after the call: `OUTPUT/INNER`. */
  readonly nodes: readonly Node[];
  /** Operator sets of the nodes: a function has its own. */
  readonly opsetImport: Model['opsetImport'];
}

/** What a node stands for when its operator is a function that the model defines; undefined when it is not. */
export function expandCall(model: Model, node: Node): Expansion | undefined {
  const definition = model.functions.find(
    ({ name, domain, overload }) => name === node.opType && domain === node.domain && overload === node.overload,
  );
  if (!definition) return undefined;
  const names = new Map<string, string>([['', '']]);
  for (const [i, input] of definition.inputs.entries()) names.set(input, node.inputs[i] ?? '');
  for (const [i, output] of definition.outputs.entries()) if (node.outputs[i]) names.set(output, node.outputs[i]);
  const prefix = node.outputs.find((output) => output !== '') ?? node.name;
  const writer = new Writer((name) => names.get(name) ?? `${prefix}/${name}`, argumentsOf(definition, node));
  return { nodes: definition.nodes.map((inner) => writer.node(inner)), opsetImport: definition.opsetImport };
}

/** A call's attributes by name, and the defaults of those that it leaves out. */
function argumentsOf(definition: FunctionProto, node: Node): ReadonlyMap<string, Attribute> {
  return new Map([...definition.attributeProtos, ...node.attributes].map((attribute) => [attribute.name, attribute]));
}

/** Copies nodes with their tensors renamed and their references to the call's attributes resolved. */
class Writer {
  readonly #rename: (tensor: string) => string;
  readonly #given: ReadonlyMap<string, Attribute>;

  constructor(rename: (tensor: string) => string, given: ReadonlyMap<string, Attribute>) {
    this.#rename = rename;
    this.#given = given;
  }

  node(node: Node): Node {
    return {
      ...node,
      inputs: node.inputs.map(this.#rename),
      outputs: node.outputs.map(this.#rename),
      attributes: node.attributes.flatMap((attribute) => this.#attribute(attribute)),
    };
  }

  /** A reference to an attribute that the call leaves out is no attribute. */
  #attribute(attribute: Attribute): Attribute[] {
    if (attribute.refAttrName !== '') {
      const given = this.#given.get(attribute.refAttrName);
      return given ? [{ ...given, name: attribute.name, refAttrName: '' }] : [];
    }
    const { value } = attribute;
    return [value.type === 'graph' ? { ...attribute, value: { type: 'graph', g: this.#graph(value.g) } } : attribute];
  }

  #graph(graph: Graph): Graph {
    const renamed = <T extends { readonly name: string }>(item: T): T => ({ ...item, name: this.#rename(item.name) });
    return {
      ...graph,
      nodes: graph.nodes.map((node) => this.node(node)),
      initializers: graph.initializers.map(renamed),
      inputs: graph.inputs.map(renamed),
      outputs: graph.outputs.map(renamed),
    };
  }
}
