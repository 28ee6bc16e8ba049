import type { TensorType } from '../../onnx/infer.js';
import { dtypeOf, type Graph, type Model, type Node } from '../../onnx/model.js';
import { ELEMENT_BYTES, elementCount } from '../../onnx/tensor.js';

/** Operators whose output is their first input in another shape, in the same memory. */
const VIEWS = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity']);

/**
 * The most that the inner tensors of a model take at one time when its nodes run as ONNX Runtime runs them and each tensor
 * is given back behind its last use, in bytes. Outputs, inputs and weights are not counted; nor are tensors of unknown shapes.
 */
export function peakLiveBytes({ graph }: Model, types: ReadonlyMap<string, TensorType>): number {
  const nodes = runningOrder(graph);
  const origin = new Map<string, string>();
  const memoryOf = (name: string): string => origin.get(name) ?? name;
  for (const { opType, inputs, outputs } of nodes) {
    if (VIEWS.has(opType)) origin.set(outputs[0] as string, memoryOf(inputs[0] as string));
  }
  const lastUse = new Map<string, number>();
  for (const [i, { inputs, outputs }] of nodes.entries()) {
    for (const name of [...inputs, ...outputs]) lastUse.set(memoryOf(name), i);
  }
  const elsewhere = new Set(
    [...graph.outputs, ...graph.inputs, ...graph.initializers].map(({ name }) => memoryOf(name)),
  );
  const live = new Map<string, number>();
  let [now, peak] = [0, 0];
  for (const [i, { inputs, outputs }] of nodes.entries()) {
    for (const name of outputs) {
      const memory = memoryOf(name);
      if (name === '' || elsewhere.has(memory) || live.has(memory)) continue;
      const bytes = tensorBytes(types.get(memory));
      live.set(memory, bytes);
      now += bytes;
    }
    peak = Math.max(peak, now);
    for (const name of [...inputs, ...outputs]) {
      const memory = memoryOf(name);
      if (lastUse.get(memory) !== i) continue;
      now -= live.get(memory) ?? 0;
      live.delete(memory);
    }
  }
  return peak;
}

/**
 * The order in which ONNX Runtime runs the nodes of a graph, whatever order they stand in: depth first from those that no
 * other takes anything of, the last of these and of a node's producers first (`Graph::ReverseDFSFrom` and the default order
 * of `GraphViewer`, onnxruntime 1.30). Of a training graph it keeps twice as much alive as the order of the backward pass.
 */
export function runningOrder({ nodes }: Pick<Graph, 'nodes'>): readonly Node[] {
  const producer = new Map(nodes.flatMap(({ outputs }, i) => outputs.map((name) => [name, i] as const)));
  const producers = nodes.map(({ inputs }) => {
    const found = inputs.flatMap((name) => (name === '' ? [] : (producer.get(name) ?? [])));
    return [...new Set(found)].sort((a, b) => a - b);
  });
  const taken = new Set(producers.flat());
  const order: Node[] = [];
  const entered = new Set<number>();
  const stack = [...nodes.keys()].filter((i) => !taken.has(i)).map((at) => ({ at, leaves: false }));
  for (let work = stack.pop(); work; work = stack.pop()) {
    const { at, leaves } = work;
    if (leaves) order.push(nodes[at] as Node);
    if (leaves || entered.has(at)) continue;
    entered.add(at);
    stack.push({ at, leaves: true }, ...(producers[at] ?? []).map((before) => ({ at: before, leaves: false })));
  }
  return order;
}

/** 0 when the type or a dimension is not known. */
export function tensorBytes(type: TensorType | undefined): number {
  const dtype = type && dtypeOf(type.dtype);
  if (!type || dtype === undefined || dtype === 'string') return 0;
  const dims = type.shape.map((dim) => (typeof dim === 'number' ? dim : 0));
  return elementCount(dims) * ELEMENT_BYTES[dtype];
}
