import { subgraphs } from '../../onnx/attribute.js';
import { nodeCosts } from '../../onnx/cost.js';
import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Graph, type Model, type Node } from '../../onnx/model.js';
import type { NodeTime, Profile } from '../../onnx/runtime/profile.js';
import type { TypedShape } from '../../onnx/runtime/profile-trace.js';
import { type DType, ELEMENT_BYTES, elementCount } from '../../onnx/tensor.js';
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
  for (const { node, reads, writes } of nodes) {
    if (!node) continue;
    note(values, node.inputs, reads);
    note(values, node.outputs, writes);
  }
  const macs = new Map<Node, number>();
  costsInto(macs, optimized, optimized.graph, values);
  return nodes.map((time) => ({
    ...time,
    precision: precisionOf(time),
    macs: (time.node && macs.get(time.node)) || 0,
    bytes: bytesMoved(time),
  }));
}

function note(values: Map<string, TensorType>, names: readonly string[], shapes: readonly TypedShape[]): void {
  const present = names.filter((name) => name !== '');
  // Sequences and maps are not listed: the places are known only where none is missing.
  if (present.length !== shapes.length) return;
  for (const [i, name] of present.entries()) {
    const { type, shape } = shapes[i] as TypedShape;
    values.set(name, { dtype: DATA_TYPE[dtypeOf(type)] ?? 0, shape });
  }
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

function dtypeOf(type: string): DType {
  return RUNTIME_NAMES[type] ?? (type as DType);
}

function bytesMoved({ kernel, reads, writes }: NodeTime): number {
  const sum = (tensors: readonly TypedShape[]): number => tensors.reduce((total, tensor) => total + bytesOf(tensor), 0);
  // Of a table, only the rows that are picked are read.
  return kernel === 'Gather' ? 2 * sum(writes) : sum(reads) + sum(writes);
}

function bytesOf({ type, shape }: TypedShape): number {
  const bytes = (ELEMENT_BYTES as Readonly<Record<string, number>>)[dtypeOf(type)] ?? 0;
  return bytes * elementCount(shape);
}
