import { subgraphs } from '../../onnx/attribute.js';
import { nodeCosts } from '../../onnx/cost.js';
import { rawBytes } from '../../onnx/data-types.js';
import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Graph, type Model, type Node } from '../../onnx/model.js';
import type { NodeTime, Profile } from '../../onnx/runtime/profile.js';
import type { TypedShape } from '../../onnx/runtime/profile-trace.js';
import { type DType, elementCount } from '../../onnx/tensor.js';
import { type Precision, precisionOf } from '../quantise/int8-share.js';

/** A node that was measured, and the work that it did in that time. */
export interface NodeWork extends NodeTime {
  readonly precision: Precision;
  /** Multiply-accumulates; 0 for nodes that do something else. */
  readonly macs: number;
  /** Bytes of all tensors that it read and wrote, weights included. */
  readonly bytes: number;
}

/** What every node of a profile did. Shapes are those that ran, so nothing is left to inference. */
export function nodeWork({ nodes, optimized }: Profile): readonly NodeWork[] {
  const values = new Map<string, TensorType>();
  const weights = new Set<string>();
  noteWeights(values, weights, optimized.graph);
  for (const { node, reads, writes } of nodes) {
    if (!node) continue;
    noteReads(values, weights, node.inputs, reads);
    noteAll(values, named(node.outputs), writes);
  }
  const macs = new Map<Node, number>();
  costsInto(macs, optimized, optimized.graph, values);
  return nodes.map((time) => ({
    ...time,
    precision: precisionOf(time),
    macs: (time.node && macs.get(time.node)) || 0,
    bytes: bytesMoved(time, values),
  }));
}

function noteWeights(values: Map<string, TensorType>, weights: Set<string>, graph: Graph): void {
  for (const { name, dataType, dims } of graph.initializers) {
    values.set(name, { dtype: dataType, shape: dims });
    weights.add(name);
  }
  for (const node of graph.nodes) for (const inner of subgraphs(node)) noteWeights(values, weights, inner);
}

/** Weights that a kernel has packed for itself are not among what it is seen to read: then only the first input is sure. */
function noteReads(
  values: Map<string, TensorType>,
  weights: ReadonlySet<string>,
  inputs: readonly string[],
  reads: readonly TypedShape[],
): void {
  const names = named(inputs);
  if (names.length === reads.length) noteAll(values, names, reads);
  else if (names[0] !== undefined && !weights.has(names[0])) noteAll(values, names.slice(0, 1), reads.slice(0, 1));
}

function noteAll(values: Map<string, TensorType>, names: readonly string[], shapes: readonly TypedShape[]): void {
  // Sequences and maps are not listed: places are known only where none is missing.
  if (names.length !== shapes.length) return;
  for (const [i, name] of names.entries()) {
    const { type, shape } = shapes[i] as TypedShape;
    values.set(name, { dtype: dataTypeOf(type), shape });
  }
}

/** Names of tensors, without those that are left out. */
function named(tensors: readonly string[]): readonly string[] {
  return tensors.filter((name) => name !== '');
}

function costsInto(
  found: Map<Node, number>,
  model: Model,
  graph: Graph,
  values: ReadonlyMap<string, TensorType>,
): void {
  for (const [node, { macs }] of nodeCosts({ ...model, graph }, values)) {
    const inner = subgraphs(node);
    // What a subgraph does is its nodes' own work, as its time is.
    found.set(node, inner.length > 0 || Number.isNaN(macs) ? 0 : macs);
    for (const subgraph of inner) costsInto(found, model, subgraph, values);
  }
}

/** The runtime's names of element types that are not Tierbed's. */
const RUNTIME_NAMES: Readonly<Record<string, DType>> = { float: 'float32', double: 'float64' };

function dataTypeOf(type: string): number {
  return DATA_TYPE[RUNTIME_NAMES[type] ?? (type as DType)] ?? 0;
}

function bytesMoved({ kernel, reads, writes, node }: NodeTime, values: ReadonlyMap<string, TensorType>): number {
  const seen = (tensors: readonly TypedShape[]): number =>
    tensors.reduce((total, { type, shape }) => total + bytesOf({ dtype: dataTypeOf(type), shape }), 0);
  const written = seen(writes);
  // Of a table, only the rows that are picked are read.
  if (kernel === 'Gather') return 2 * written;
  if (!node) return seen(reads) + written;
  return named(node.inputs).reduce((total, name) => total + bytesOf(values.get(name)), written);
}

function bytesOf(value: TensorType | undefined): number {
  const shape = value?.shape ?? [undefined];
  if (!value || !shape.every((dim): dim is number => typeof dim === 'number')) return 0;
  return rawBytes(value.dtype, elementCount(shape)) ?? 0;
}
