import type { Attribute, Graph, Model, Node } from '../model.js';
import { expandCall } from './functions.js';
import { operatorName } from './index.js';

/** Inputs whose elements decide the shape of an operator's result; 'all' where any may. */
const SHAPE_INPUTS: Readonly<Record<string, readonly number[] | 'all'>> = {
  Compress: [1],
  ConstantOfShape: [0],
  Expand: [1],
  MaxUnpool: [2],
  NonMaxSuppression: 'all',
  NonZero: [0],
  OneHot: [1],
  Pad: [1, 3],
  Range: 'all',
  Reshape: [1],
  Resize: [1, 2, 3],
  Slice: [1, 2, 3, 4],
  Split: [1],
  Squeeze: [1],
  Tile: [1],
  TopK: [1],
  Unique: [0],
  Unsqueeze: [1],
  Upsample: [1],
  BlackmanWindow: [0],
  HammingWindow: [0],
  HannWindow: [0],
  AffineGrid: [1],
  CenterCropPad: [1],
  Col2Im: [1, 2],
  DFT: [1, 2],
  STFT: [1, 3],
  SequenceAt: [1],
  SequenceErase: [1],
  SplitToSequence: [1],
  StringSplit: 'all',
  If: 'all',
  Loop: 'all',
};

interface Dependence {
  /** The elements depend on what is fed in, not on the shapes of what is fed in alone. */
  readonly value: boolean;
  /** So does the shape. */
  readonly shape: boolean;
}

/**
 * The tensors of the main graph whose shape may depend on the elements of the model's inputs, so that no run can tell it.
 * Of operators that are not listed above, only that they pass on what comes in is known.
 */
export function dataDependentShapes(model: Model): ReadonlySet<string> {
  const known = new Map<string, Dependence>();
  const initializers = new Set(model.graph.initializers.map((initializer) => initializer.name));
  for (const input of model.graph.inputs) {
    if (!initializers.has(input.name)) known.set(input.name, { value: true, shape: false });
  }
  for (const node of model.graph.nodes.flatMap((node) => withCalls(model, node))) {
    const read = [...node.inputs, ...node.attributes.flatMap(capturedNames)];
    const inputs = read.map((name) => known.get(name) ?? { value: false, shape: false });
    const result = dependenceOf(node, inputs);
    if (result.value || result.shape) for (const output of node.outputs) known.set(output, result);
  }
  return new Set([...known].filter(([, { shape }]) => shape).map(([name]) => name));
}

/** A node, or the nodes that it stands for when it calls a function. */
function withCalls(model: Model, node: Node): readonly Node[] {
  return expandCall(model, node)?.nodes.flatMap((inner) => withCalls(model, inner)) ?? [node];
}

function dependenceOf(node: Node, inputs: readonly Dependence[]): Dependence {
  const name = operatorName(node);
  const inherited = inputs.some((input) => input.shape);
  if (name === 'Shape' || name === 'Size') return { value: inherited, shape: false };
  const value = inherited || inputs.some((input) => input.value);
  const deciding = SHAPE_INPUTS[name] ?? axesInput(node, name);
  const decided = deciding === 'all' ? value : deciding.some((i) => inputs[i]?.value);
  return { value: value || name.startsWith('Random'), shape: inherited || decided };
}

/** The axes of a reduction, where they are an input. */
function axesInput(node: Node, name: string): readonly number[] {
  return name.startsWith('Reduce') && node.inputs.length > 1 ? [1] : [];
}

/** Names that a subgraph reads; those it makes itself are not known outside and do no harm. */
function capturedNames({ value }: Attribute): string[] {
  const graphs: readonly Graph[] = value.type === 'graph' ? [value.g] : value.type === 'graphs' ? value.graphs : [];
  return graphs.flatMap((graph) => [
    ...graph.nodes.flatMap((node) => [...node.inputs, ...node.attributes.flatMap(capturedNames)]),
    ...graph.outputs.map((output) => output.name),
  ]);
}
