import { attributesOf } from '../../../onnx/build.js';
import { float32ToFloat16 } from '../../../onnx/half.js';
import { initializerElements } from '../../../onnx/initializer.js';
import { type Attribute, DATA_TYPE, type Graph, type Initializer, type Model, type Node } from '../../../onnx/model.js';
import { weightValues } from './view.js';

/** What to do with a tensor that has numbers beyond float16's 65504. */
export type Overflow = 'keep' | 'clamp' | 'refuse';

/** A tensor that stays float32, and why. */
export interface KeptTensor {
  readonly tensor: string;
  readonly reason: string;
}

/** What became of a model's weights. */
export interface HalfWeights {
  readonly model: Model;
  readonly converted: number;
  readonly kept: readonly KeptTensor[];
  /** Numbers that were set to 65504, by tensor. */
  readonly clamped: Readonly<Record<string, number>>;
  /** Numbers other than 0 that are 0 now: below 2 ** -25. */
  readonly becameZero: number;
}

export const LARGEST_HALF = 65504;

/** Below this, float16 has fewer digits the smaller a number is. */
const LEAST_NORMAL = 2 ** -14;

/** A Cast takes some hundred bytes of the file: smaller tensors stay as they are. */
const LEAST_ELEMENTS = 256;

/**
 * Float32 weights stored as float16 with a Cast to float32 behind each, which runtimes work out when they load the model:
 * half the bytes, and the same kernels. Weights of subgraphs and of Constant nodes too.
 *
 * @param refuse is given a tensor with numbers beyond float16 when `overflow` is `refuse`: throws
 */
export function halveWeights(model: Model, overflow: Overflow, refuse: (tensor: string) => never): HalfWeights {
  const kept: KeptTensor[] = [];
  const clamped: Record<string, number> = {};
  let converted = 0;
  let becameZero = 0;

  const halved = (weight: Initializer, name: string): Initializer | undefined => {
    if (weight.dataType !== DATA_TYPE.float32 || initializerElements(weight) < LEAST_ELEMENTS) return undefined;
    const values = weightValues(weight);
    const { largest, tooLarge, finite } = examined(values);
    if (!finite) {
      kept.push({ tensor: name, reason: 'it has infinite numbers or NaN' });
      return undefined;
    }
    if (largest < LEAST_NORMAL && largest > 0) {
      kept.push({ tensor: name, reason: `its numbers are below ${LEAST_NORMAL}, where float16 has few digits` });
      return undefined;
    }
    if (tooLarge > 0 && overflow === 'refuse') refuse(name);
    if (tooLarge > 0 && overflow === 'keep') {
      kept.push({ tensor: name, reason: `${tooLarge} of its numbers are beyond float16's ${LARGEST_HALF}` });
      return undefined;
    }
    if (tooLarge > 0) clamped[name] = tooLarge;
    const inRange = tooLarge > 0 ? values.map((v) => Math.min(LARGEST_HALF, Math.max(-LARGEST_HALF, v))) : values;
    const bits = float32ToFloat16(inRange);
    for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & 0x7fff) === 0 && values[i] !== 0) becameZero++;
    converted++;
    return { ...weight, dataType: DATA_TYPE.float16, data: { kind: 'raw', bytes: new Uint8Array(bits.buffer) } };
  };

  const inGraph = (graph: Graph, replaceable: boolean): Graph => {
    const inputs = new Set(graph.inputs.map(({ name }) => name));
    const taken = namesOf(graph);
    const casts: Node[] = [];
    const gone = new Set<string>();
    const initializers = graph.initializers.map((weight) => {
      if (replaceable && inputs.has(weight.name)) return weight;
      const half = halved(weight, weight.name);
      if (!half) return weight;
      const name = free(`${weight.name}_fp16`, taken);
      casts.push(castNode(name, weight.name));
      gone.add(weight.name);
      return { ...half, name };
    });
    const nodes = graph.nodes.flatMap((node) => inNode(node, taken));
    return {
      ...graph,
      nodes: [...casts, ...nodes],
      initializers,
      inputs: graph.inputs.filter(({ name }) => !gone.has(name)),
    };
  };

  const inNode = (node: Node, taken: Set<string>): Node[] => {
    const value = node.attributes.find(({ name }) => name === 'value')?.value;
    if (node.opType === 'Constant' && node.domain === '' && value?.type === 'tensor') {
      const output = node.outputs[0] as string;
      const half = halved(value.t, output);
      if (!half) return [node];
      const name = free(`${output}_fp16`, taken);
      const attributes = attributesOf({ value: { type: 'tensor', t: half } });
      return [{ ...node, attributes, outputs: [name] }, castNode(name, output)];
    }
    return [{ ...node, attributes: node.attributes.map(inAttribute) }];
  };

  const inAttribute = (attribute: Attribute): Attribute => {
    const { value } = attribute;
    if (value.type === 'graph') return { ...attribute, value: { ...value, g: inGraph(value.g, false) } };
    if (value.type !== 'graphs') return attribute;
    return { ...attribute, value: { ...value, graphs: value.graphs.map((graph) => inGraph(graph, false)) } };
  };

  // Since IR version 4 an initializer that is an input too is a default that a caller may replace.
  const graph = inGraph(model.graph, model.irVersion >= 4);
  return { model: { ...model, graph }, converted, kept, clamped, becameZero };
}

function examined(values: Float32Array): { largest: number; tooLarge: number; finite: boolean } {
  let [largest, tooLarge, finite] = [0, 0, true];
  for (const value of values) {
    const size = Math.abs(value);
    if (!Number.isFinite(size)) finite = false;
    if (size > largest) largest = size;
    // From here on the nearest float16 is infinity.
    if (size >= 65520) tooLarge++;
  }
  return { largest, tooLarge, finite };
}

function castNode(input: string, output: string): Node {
  return {
    ...{ name: `${output}_cast`, opType: 'Cast', domain: '', inputs: [input], outputs: [output] },
    ...{ attributes: attributesOf({ to: DATA_TYPE.float32 }), docString: '', overload: '', metadataProps: [] },
  };
}

function namesOf(graph: Graph): Set<string> {
  const names = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
  for (const node of graph.nodes) for (const name of [...node.inputs, ...node.outputs]) names.add(name);
  return names;
}

function free(stem: string, taken: Set<string>): string {
  let name = stem;
  for (let n = 1; taken.has(name); n++) name = `${stem}_${n}`;
  taken.add(name);
  return name;
}
