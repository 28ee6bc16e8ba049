import { TierbedError } from '../base/errors.js';
import { subgraphs } from './attribute.js';
import { elementTypes } from './element-types.js';
import { CutGraph } from './frontier.js';
import type { GraphIndex } from './graph.js';
import { inferValues, type TensorType } from './infer.js';
import type { FunctionProto, Model, Node, ValueInfo } from './model.js';
import { type ValidCut, validateCutIn } from './validate-cut.js';

export interface CutOptions {
  /** Types and shapes of the model's tensors where they are known already; else they are inferred. */
  readonly values?: ReadonlyMap<string, TensorType>;
}

/**
 * Cuts a model into stages that, run one after the other, compute what it computes, bit for bit.
 *
 * The first stage takes the model's inputs and the last gives its outputs, in the model's order. What crosses a cut is an
 * output of the stage before it and an input of the stage behind it, under its own name, with type and shape. A tensor
 * that only a later stage needs is an input and an output of each stage between. Each stage has the weights that it
 * needs, and those of the model's functions that it calls; opsets and metadata are the model's.
 *
 * @param cuts tensor sets as `validateCut` takes them, from the front of the model to its end
 * @returns one stage more than there are cuts
 * @throws TierbedError `invalid` for a set that does not separate the graph, cuts that are out of order or cross each
 *   other, and a cut through a value that is no tensor
 */
export async function cutModel(
  model: Model,
  cuts: readonly (readonly string[])[],
  options: CutOptions = {},
): Promise<Model[]> {
  const graph = new CutGraph(model.graph);
  const valid = cuts.map((tensors) => validateCutIn(graph, tensors));
  checkOrder(valid);
  const values = options.values ?? (await inferValues(model));
  const declared = new Map(
    [...model.graph.valueInfo, ...model.graph.outputs, ...model.graph.inputs].map((info) => [info.name, info]),
  );
  const open = valid.flatMap(({ tensors }) => tensors).filter((name) => !values.has(name) && !declared.has(name));
  const types = await elementTypes(model, [...new Set(open)]);
  const typeOf = (name: string): ValueInfo => crossingInfo(name, declared.get(name), values.get(name), types.get(name));
  const crossing = valid.map(({ tensors }) => tensors.map(typeOf));
  const given = new Set(graph.index.inputs);
  const modelInputs = model.graph.inputs.filter(({ name }) => given.has(name));
  return Array.from({ length: cuts.length + 1 }, (_, i) => {
    const nodes = graph.nodes.filter(
      (_, rank) => !valid[i - 1]?.before.has(rank) && (valid[i]?.before.has(rank) ?? true),
    );
    const inputs = crossing[i - 1] ?? modelInputs;
    const outputs = crossing[i] ?? model.graph.outputs;
    return stageOf(model, graph.index, nodes, inputs, outputs, i);
  });
}

function checkOrder(cuts: readonly ValidCut[]): void {
  for (let i = 1; i < cuts.length; i++) {
    const [first, second] = [cuts[i - 1] as ValidCut, cuts[i] as ValidCut];
    const names = `cut ${i} (${first.tensors.join(', ')}) and cut ${i + 1} (${second.tensors.join(', ')})`;
    const contains = (outer: ValidCut, inner: ValidCut) => [...inner.before].every((rank) => outer.before.has(rank));
    if (contains(second, first)) {
      if (second.before.size > first.before.size) continue;
      throw new TierbedError('invalid', `${names} are the same`, { fix: 'give each cut once' });
    }
    if (contains(first, second)) {
      throw new TierbedError('invalid', `${names} are out of order`, { fix: 'give the cut nearer to the input first' });
    }
    throw new TierbedError('invalid', `${names} cross each other: each has nodes before it that the other has behind`, {
      fix: 'choose cuts of which one lies wholly behind the other',
    });
  }
}

/** @param elemType of a tensor whose rank is not fixed */
function crossingInfo(
  name: string,
  declared: ValueInfo | undefined,
  inferred: TensorType | undefined,
  elemType: number | undefined,
): ValueInfo {
  const base = declared ?? { name, docString: '', metadataProps: [] };
  if (inferred) return { ...base, type: { kind: 'tensor', elemType: inferred.dtype, shape: inferred.shape } };
  if (declared?.type.kind === 'tensor') return declared;
  if (elemType !== undefined) return { ...base, type: { kind: 'tensor', elemType, shape: undefined } };
  throw new TierbedError('invalid', `the type of ${name} is not known: it may be no tensor`, {
    fix: 'cut elsewhere, or declare its type in the model (value_info)',
  });
}

function stageOf(
  model: Model,
  index: GraphIndex,
  nodes: readonly number[],
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
  number: number,
): Model {
  const { graph } = model;
  const { kept, names: used } = withConstants(index, nodes, outputs);
  const taken = new Set(inputs.map(({ name }) => name));
  const made = new Set(kept.flatMap((node) => node.outputs));
  const annotations = graph.quantizationAnnotation.filter(
    ({ tensorName }) => made.has(tensorName) || taken.has(tensorName) || used.has(tensorName),
  );
  for (const { quantParameterTensorNames } of annotations)
    for (const { value } of quantParameterTensorNames) used.add(value);
  const boundary = new Set([...taken, ...outputs.map(({ name }) => name)]);
  return {
    irVersion: model.irVersion,
    opsetImport: model.opsetImport,
    producerName: model.producerName,
    producerVersion: model.producerVersion,
    domain: model.domain,
    modelVersion: model.modelVersion,
    docString: model.docString,
    metadataProps: model.metadataProps,
    graph: {
      name: `${graph.name || 'graph'}-stage-${number}`,
      nodes: kept,
      initializers: graph.initializers.filter(({ name }) => used.has(name)),
      sparseInitializers: graph.sparseInitializers.filter(({ values }) => used.has(values.name)),
      // A weight that is also declared as an input, as files of IR version 3 must, still is.
      inputs: [
        ...inputs,
        ...graph.inputs.filter(({ name }) => used.has(name) && !taken.has(name) && index.isConstant(name)),
      ],
      outputs,
      valueInfo: graph.valueInfo.filter(({ name }) => made.has(name) && !boundary.has(name)),
      docString: graph.docString,
      quantizationAnnotation: annotations,
      metadataProps: graph.metadataProps,
      ...(graph.unknown && { unknown: graph.unknown }),
    },
    functions: calledFunctions(model.functions, kept),
    ...(model.configuration && { configuration: model.configuration }),
    ...(model.unknown && { unknown: model.unknown }),
  };
}

/** A stage's nodes with those constant nodes that they and the outputs need, in running order; and every name they use. */
function withConstants(
  index: GraphIndex,
  nodes: readonly number[],
  outputs: readonly ValueInfo[],
): { kept: Node[]; names: Set<string> } {
  const names = new Set(outputs.map(({ name }) => name));
  const chosen = new Set(nodes);
  for (const i of nodes) for (const name of index.uses[i] ?? []) names.add(name);
  for (const i of index.ancestors([...names].filter((name) => index.isConstant(name)))) {
    chosen.add(i);
    for (const name of index.uses[i] ?? []) names.add(name);
  }
  return { kept: index.order.filter((i) => chosen.has(i)).map((i) => index.graph.nodes[i] as Node), names };
}

/** The functions that nodes call, and those that these call. */
function calledFunctions(functions: readonly FunctionProto[], nodes: readonly Node[]): FunctionProto[] {
  const called = new Set<FunctionProto>();
  const visit = (node: Node): void => {
    for (const f of functions) {
      if (f.domain !== node.domain || f.name !== node.opType || f.overload !== node.overload || called.has(f)) continue;
      called.add(f);
      f.nodes.forEach(visit);
    }
    for (const graph of subgraphs(node)) graph.nodes.forEach(visit);
  };
  nodes.forEach(visit);
  return functions.filter((f) => called.has(f));
}
