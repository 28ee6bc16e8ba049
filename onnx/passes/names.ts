import { subgraphs } from '../attribute.js';
import type { Graph, Model, Node } from '../model.js';

/** Gives tensor names that nothing in a model has: not its graph, the graphs inside, or its functions. */
export class FreshNames {
  readonly #taken = new Set<string>();

  constructor(model: Model) {
    this.#graph(model.graph);
    for (const { inputs, outputs, nodes } of model.functions) {
      for (const name of [...inputs, ...outputs]) this.#taken.add(name);
      this.#nodes(nodes);
    }
  }

  /** `stem`, or `stem_2`, `stem_3`...; it is taken from then on. */
  free(stem: string): string {
    let name = stem;
    for (let n = 2; this.#taken.has(name); n++) name = `${stem}_${n}`;
    this.#taken.add(name);
    return name;
  }

  #graph(graph: Graph): void {
    for (const name of ownNames(graph)) this.#taken.add(name);
    this.#nodes(graph.nodes);
  }

  #nodes(nodes: readonly Node[]): void {
    for (const node of nodes) {
      for (const name of [...node.inputs, ...node.outputs]) this.#taken.add(name);
      for (const graph of subgraphs(node)) this.#graph(graph);
    }
  }
}

/** Every tensor that a graph itself defines: inputs, weights, outputs of its nodes. */
export function* ownNames(graph: Graph): Generator<string> {
  for (const { name } of graph.inputs) yield name;
  for (const { name } of graph.initializers) yield name;
  for (const { values } of graph.sparseInitializers) yield values.name;
  for (const { outputs } of graph.nodes) for (const name of outputs) if (name !== '') yield name;
}

/** Every tensor that the graphs inside a graph's nodes define. */
export function innerNames(graph: Graph): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (nodes: readonly Node[]): void => {
    for (const inner of nodes.flatMap(subgraphs)) {
      for (const name of ownNames(inner)) names.add(name);
      visit(inner.nodes);
    }
  };
  visit(graph.nodes);
  return names;
}

/** Tensors that quantizationAnnotation speaks of, or names as a scale or zero point: they keep their names. */
export function annotatedNames(graph: Graph): ReadonlySet<string> {
  return new Set(
    graph.quantizationAnnotation.flatMap(({ tensorName, quantParameterTensorNames }) => [
      tensorName,
      ...quantParameterTensorNames.map(({ value }) => value),
    ]),
  );
}
