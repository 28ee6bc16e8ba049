import { GraphBuilder } from '../../onnx/build.js';
import type { TrainingGraph } from '../../onnx/grad/training-graph.js';
import { inferValues, type TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Model, type Node } from '../../onnx/model.js';
import { openModel } from '../../onnx/runtime/session.js';
import { elementCount, float32Values, type NamedTensor } from '../../onnx/tensor.js';

/** Where numbers first stop being finite. */
export type Origin =
  | { readonly kind: 'weight' | 'input'; readonly name: string }
  | { readonly kind: 'node'; readonly node: Node; readonly tensor: string; readonly pass: 'forward' | 'backward' }
  | { readonly kind: 'unknown' };

/** Inner tensors that one run gives, in bytes: more runs rather than more memory. */
const PROBE_BYTES = 128 << 20;

/**
 * Finds where a step's numbers stop being finite: a weight, an input, or else the first node that makes NaN or Infinity
 * of finite numbers. A mask that is minus infinity by itself is none: it follows from no weight and no input of floats.
 *
 * @param weights what the graph is given anew in each run
 * @param inputs of the step
 */
export async function findOrigin(
  { model, loss }: TrainingGraph,
  weights: ReadonlyMap<string, Float32Array>,
  inputs: readonly NamedTensor[],
  threads: number,
): Promise<Origin> {
  for (const [name, values] of weights) if (!allFinite(values)) return { kind: 'weight', name };
  for (const { name, tensor } of inputs) {
    if (tensor.dtype === 'float32' && !allFinite(float32Values(tensor))) return { kind: 'input', name };
  }
  const fed = [...weights].map(([name, values]): NamedTensor => {
    return { name, tensor: { dtype: 'float32', shape: shapeOf(model, name), data: bytesOf(values) } };
  });
  const types = await inferValues(model, { probe: false });
  const floats = inputs.flatMap(({ name, tensor }) => (tensor.dtype === 'float32' ? [name] : []));
  const dependent = dependents(model, [...weights.keys(), ...floats]);
  const strange = new Set<string>();
  const { nodes } = model.graph;
  const forward = forwardNodes(nodes, loss);
  for (const { start, end } of chunks(nodes, types)) {
    const some = nodes.slice(start, end);
    const found = await probe(model, tensorsOf(some, types), [...fed, ...inputs], threads);
    for (const { name, tensor } of found) if (!allFinite(float32Values(tensor))) strange.add(name);
    for (const node of some) {
      const tensor = node.outputs.find((name) => strange.has(name) && dependent.has(name));
      if (tensor === undefined || node.inputs.some((name) => strange.has(name))) continue;
      return { kind: 'node', node, tensor, pass: forward.has(node) ? 'forward' : 'backward' };
    }
  }
  return { kind: 'unknown' };
}

/** The nodes that the loss follows from; they stand in running order, with others between them. */
function forwardNodes(nodes: readonly Node[], loss: string): ReadonlySet<Node> {
  const needed = new Set([loss]);
  const found = new Set<Node>();
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    found.add(node);
    for (const name of node.inputs) needed.add(name);
  }
  return found;
}

/** Tensors that follow from others, and these. */
function dependents({ graph }: Model, from: readonly string[]): ReadonlySet<string> {
  const found = new Set(from);
  for (const { inputs, outputs } of graph.nodes) {
    if (inputs.some((name) => found.has(name))) for (const name of outputs) found.add(name);
  }
  return found;
}

function tensorsOf(nodes: readonly Node[], types: ReadonlyMap<string, TensorType>): string[] {
  return nodes.flatMap(({ outputs }) =>
    outputs.filter((name) => name !== '' && types.get(name)?.dtype === DATA_TYPE.float32),
  );
}

/** Nodes one after the other whose outputs together are small enough for one run. */
function* chunks(nodes: readonly Node[], types: ReadonlyMap<string, TensorType>) {
  let [start, bytes] = [0, 0];
  for (const [i, node] of nodes.entries()) {
    bytes += tensorsOf([node], types).reduce((sum, name) => {
      const shape = types.get(name)?.shape ?? [];
      return sum + 4 * elementCount(shape.map((dim) => (typeof dim === 'number' ? dim : 1)));
    }, 0);
    if (bytes < PROBE_BYTES && i < nodes.length - 1) continue;
    yield { start, end: i + 1 };
    [start, bytes] = [i + 1, 0];
  }
}

async function probe(
  model: Model,
  tensors: readonly string[],
  inputs: readonly NamedTensor[],
  threads: number,
): Promise<readonly NamedTensor[]> {
  if (tensors.length === 0) return [];
  const builder = GraphBuilder.from({ ...model, graph: { ...model.graph, outputs: [] } });
  for (const name of tensors) builder.output(name, 'float32');
  const session = await openModel(builder.build(), { threads, spinning: false, fuseQuantised: false });
  try {
    return await session.run(inputs);
  } finally {
    await session.close();
  }
}

function shapeOf({ graph }: Model, name: string): readonly number[] {
  const type = graph.inputs.find((input) => input.name === name)?.type;
  return (type?.kind === 'tensor' ? type.shape : []) as readonly number[];
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function allFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
