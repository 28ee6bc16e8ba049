import { TierbedError } from '../base/errors.js';
import { version } from '../base/paths.js';
import { type Attributes, attributesOf, initializerOf } from './build/attributes.js';
import {
  DATA_TYPE,
  type Dim,
  type Graph,
  type Initializer,
  type Model,
  type Node,
  type OpsetId,
  type ValueInfo,
} from './model.js';
import { type DenseTensor, type DType, denseTensor, elementCount, float32Tensor } from './tensor.js';

export {
  type AttributeInput,
  type Attributes,
  attributesOf,
  float,
  floats,
  initializerOf,
} from './build/attributes.js';

/** A tensor of the graph that is being built, by its name. */
export type Value = string;

export interface NodeOptions {
  /** Name of the node and of its first output; without one a free name is made from the operator's. */
  readonly name?: string;
  /** '' is ai.onnx. */
  readonly domain?: string;
}

/** Gives the elements of a weight when its bytes are first asked for. */
export type WeightSource = () => Float32Array;

export interface GraphBuilderOptions {
  readonly name: string;
  /** Version of ai.onnx; 17 unless told. */
  readonly opset?: number;
  readonly docString?: string;
}

/**
 * Builds an ONNX model node by node, in the order in which the nodes run.
 *
 * Every name is checked as it is given: one that is taken, or an input that does not exist yet, is refused at once, so
 * that a graph which was built is sorted and in single-assignment form.
 *
 * @example
 * const g = new GraphBuilder({ name: 'scaled' });
 * const x = g.input('x', 'float32', ['N', 3]);
 * const w = g.weight('scale.weight', [3], () => Float32Array.of(1, 2, 3));
 * g.output(g.node('Mul', [x, w], {}, 'scaled'), 'float32', ['N', 3]);
 * const model = g.build();
 */
export class GraphBuilder {
  readonly #options: GraphBuilderOptions;
  readonly #base: Model | undefined;
  readonly #opsetImport: OpsetId[];
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #nodes: Node[] = [];
  readonly #tensors = new Set<string>();
  readonly #nodeNames = new Set<string>();
  readonly #reserved = new Set<string>();
  readonly #constants = new Map<string, Value>();
  readonly #counters = new Map<string, number>();

  constructor(options: GraphBuilderOptions, base?: Model) {
    this.#options = options;
    this.#base = base;
    this.#opsetImport = [...(base?.opsetImport ?? [{ domain: '', version: options.opset ?? 17 }])];
  }

  /** A builder that goes on where a model ends: its nodes, weights, inputs and outputs are there already. */
  static from(model: Model): GraphBuilder {
    const builder = new GraphBuilder({ name: model.graph.name, docString: model.docString }, model);
    const { graph } = model;
    builder.#inputs.push(...graph.inputs);
    builder.#outputs.push(...graph.outputs);
    builder.#initializers.push(...graph.initializers);
    builder.#nodes.push(...graph.nodes);
    for (const { name } of [...graph.inputs, ...graph.initializers]) builder.#tensors.add(name);
    for (const { values } of graph.sparseInitializers) builder.#tensors.add(values.name);
    for (const node of graph.nodes) {
      if (node.name) builder.#nodeNames.add(node.name);
      for (const output of node.outputs) if (output) builder.#tensors.add(output);
    }
    return builder;
  }

  /** Keeps the names of a graph's nodes and tensors, which are to be added later: none is made up that is among them. */
  reserve(nodes: readonly Node[]): void {
    for (const { name, outputs } of nodes) for (const each of [name, ...outputs]) this.#reserved.add(each);
  }

  /** Whether a tensor of that name exists. */
  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Declares a model input. @throws TierbedError `internal` when the name is taken */
  input(name: string, dtype: DType, shape: readonly Dim[]): Value {
    this.#claim(name);
    this.#inputs.push(valueInfo(name, dtype, shape));
    return name;
  }

  /** Declares an existing tensor as a model output. @throws TierbedError `internal` when there is no such tensor */
  output(value: Value, dtype: DType, shape?: readonly Dim[]): Value {
    this.#require(value, 'output');
    this.#outputs.push(valueInfo(value, dtype, shape));
    return value;
  }

  /**
   * A float32 parameter. Its elements are made when something first reads its bytes, so a model whose structure alone
   * matters (names, shapes, counts) costs nothing.
   *
   * @throws TierbedError `internal` when the name is taken; on first reading, when the source gives the wrong number
   */
  weight(name: string, shape: readonly number[], source: WeightSource): Value {
    this.#claim(name);
    this.#initializers.push(lazyInitializer(name, shape, source));
    return name;
  }

  /** Adds a constant tensor, weights of any type included. @throws TierbedError `internal` when the name is taken */
  initializer(name: string, tensor: DenseTensor): Value {
    this.#claim(name);
    this.#initializers.push(initializerOf(name, tensor));
    return name;
  }

  /** An int64 constant: a scalar from a number, a vector from a list. Equal ones are one tensor. */
  int64(values: number | readonly number[]): Value {
    const list = typeof values === 'number' ? [values] : values;
    const data = BigInt64Array.from(list, BigInt);
    return this.#constant('int64', typeof values === 'number' ? [] : [list.length], new Uint8Array(data.buffer));
  }

  /** A float32 constant: a scalar from a number, a vector from a list. Equal ones are one tensor. */
  float32(values: number | readonly number[]): Value {
    const list = typeof values === 'number' ? [values] : values;
    const data = Float32Array.from(list);
    return this.#constant('float32', typeof values === 'number' ? [] : [list.length], new Uint8Array(data.buffer));
  }

  /**
   * Adds a node with one output.
   *
   * @param inputs tensor names; undefined is an optional input left out
   * @returns the output's name: the node's
   * @throws TierbedError `internal` when an input does not exist yet or a name is taken
   */
  node(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions | string = {},
  ): Value {
    return this.nodeWithOutputs(opType, inputs, 1, attributes, options)[0] as Value;
  }

  /**
   * Adds a node with several outputs, or with outputs of given names ('' is an optional output left out).
   *
   * @param outputs how many, or their names
   * @throws TierbedError `internal` when an input does not exist yet or a name is taken
   */
  nodeWithOutputs(
    opType: string,
    inputs: readonly (Value | undefined)[],
    outputs: number | readonly string[],
    attributes: Attributes = {},
    options: NodeOptions | string = {},
  ): Value[] {
    const { name, domain = '' } = typeof options === 'string' ? { name: options } : options;
    const nodeName = name ?? this.#free(typeof outputs === 'number' ? opType : (outputs[0] ?? opType));
    if (this.#nodeNames.has(nodeName)) throw new TierbedError('internal', `there is a node ${nodeName} already`);
    for (const input of inputs) if (input !== undefined) this.#require(input, nodeName);
    const names =
      typeof outputs === 'number'
        ? Array.from({ length: outputs }, (_, i) => (i === 0 ? nodeName : `${nodeName}.${i}`))
        : [...outputs];
    for (const output of names) if (output !== '') this.#claim(output);
    this.#nodeNames.add(nodeName);
    this.#nodes.push({
      name: nodeName,
      opType,
      domain,
      inputs: trimmed(inputs),
      outputs: names,
      attributes: attributesOf(attributes),
      docString: '',
      overload: '',
      metadataProps: [],
    });
    return names;
  }

  /**
   * Adds a node of another graph as it is: its inputs must be there under the same names.
   *
   * @throws TierbedError `internal` as `node`
   */
  copy(node: Node): void {
    for (const input of node.inputs) this.#require(input, node.name || node.opType);
    for (const output of node.outputs) if (output !== '') this.#claim(output);
    if (node.name !== '') this.#nodeNames.add(node.name);
    this.#nodes.push(node);
  }

  /**
   * An optional output of a node that is there: from now on the node gives it.
   *
   * @param first the node's first output
   * @throws TierbedError `internal` when no node gives `first`
   */
  optionalOutput(first: Value, i: number): Value {
    const position = this.#nodes.findIndex(({ outputs }) => outputs[0] === first);
    const node = this.#nodes[position];
    if (!node) throw new TierbedError('internal', `no node gives ${first}`);
    const given = node.outputs[i] ?? '';
    if (given !== '') return given;
    const added = this.#free(`${first}.${i}`);
    this.#claim(added);
    const outputs = Array.from({ length: Math.max(node.outputs.length, i + 1) }, (_, n) => node.outputs[n] ?? '');
    outputs[i] = added;
    this.#nodes[position] = { ...node, outputs };
    return added;
  }

  /** Makes the operators of another domain usable. */
  useDomain(domain: string, domainVersion: number): void {
    if (this.#opsetImport.some((opset) => opset.domain === domain)) return;
    this.#opsetImport.push({ domain, version: domainVersion });
  }

  /** The graph so far, for use as a subgraph (If, Loop). */
  buildGraph(): Graph {
    const base = this.#base?.graph;
    return {
      name: this.#options.name,
      nodes: [...this.#nodes],
      initializers: [...this.#initializers],
      sparseInitializers: base?.sparseInitializers ?? [],
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      valueInfo: base?.valueInfo ?? [],
      docString: base?.docString ?? '',
      quantizationAnnotation: base?.quantizationAnnotation ?? [],
      metadataProps: base?.metadataProps ?? [],
      ...(base?.unknown && { unknown: base.unknown }),
    };
  }

  /** The model so far. @throws TierbedError `internal` when it has no output */
  build(): Model {
    if (this.#outputs.length === 0) throw new TierbedError('internal', `graph ${this.#options.name} has no output`);
    const graph = this.buildGraph();
    if (this.#base) return { ...this.#base, opsetImport: [...this.#opsetImport], graph };
    return {
      irVersion: irVersionOf(this.#opsetImport[0]?.version ?? 17),
      opsetImport: [...this.#opsetImport],
      producerName: 'tierbed',
      producerVersion: version,
      domain: '',
      modelVersion: 0n,
      docString: this.#options.docString ?? '',
      metadataProps: [],
      graph,
      functions: [],
    };
  }

  #constant(dtype: 'int64' | 'float32', shape: readonly number[], data: Uint8Array): Value {
    const key = `${dtype} ${shape.join()} ${Buffer.from(data).toString('hex')}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.initializer(this.#free(`const_${dtype}`), denseTensor(dtype, shape, data));
    this.#constants.set(key, name);
    return name;
  }

  /** A name that neither a node nor a tensor has. */
  #free(stem: string): string {
    for (;;) {
      const n = this.#counters.get(stem) ?? 0;
      this.#counters.set(stem, n + 1);
      const name = `${stem}_${n}`;
      if (!this.#nodeNames.has(name) && !this.#tensors.has(name) && !this.#reserved.has(name)) return name;
    }
  }

  #claim(tensor: string): void {
    if (tensor === '') throw new TierbedError('internal', `a tensor of graph ${this.#options.name} has no name`);
    if (this.#tensors.has(tensor)) throw new TierbedError('internal', `there is a tensor ${tensor} already`);
    this.#tensors.add(tensor);
  }

  #require(tensor: string, by: string): void {
    if (tensor === '' || this.#tensors.has(tensor)) return;
    throw new TierbedError('internal', `${by} needs tensor ${tensor}, which nothing has made yet`);
  }
}

/** The IR version that came with an opset (onnx/docs/Versioning.md). */
export function irVersionOf(opset: number): number {
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  if (opset <= 20) return 9;
  return 10;
}

function valueInfo(name: string, dtype: DType, shape: readonly Dim[] | undefined): ValueInfo {
  return { name, type: { kind: 'tensor', elemType: DATA_TYPE[dtype], shape }, docString: '', metadataProps: [] };
}

function trimmed(inputs: readonly (Value | undefined)[]): string[] {
  const names = inputs.map((input) => input ?? '');
  while (names.at(-1) === '') names.pop();
  return names;
}

/** An initializer whose `data` is a property that is worked out on first use and then kept. */
function lazyInitializer(name: string, shape: readonly number[], source: WeightSource): Initializer {
  let data: Initializer['data'] | undefined;
  return {
    name,
    dims: shape,
    dataType: DATA_TYPE.float32,
    get data() {
      if (data) return data;
      const values = source();
      if (values.length !== elementCount(shape)) {
        throw new TierbedError('internal', `weight ${name} [${shape.join(', ')}] was given ${values.length} elements`);
      }
      data = { kind: 'raw', bytes: float32Tensor(shape, values).data };
      return data;
    },
    docString: '',
    metadataProps: [],
  };
}
