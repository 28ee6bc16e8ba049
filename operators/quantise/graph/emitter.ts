import { type Attributes, attributesOf, initializerOf } from '../../../onnx/build.js';
import { usesOf } from '../../../onnx/graph.js';
import type { Initializer, Model, Node, OpsetId } from '../../../onnx/model.js';
import type { DenseTensor } from '../../../onnx/tensor.js';
import { denseTensor } from '../../../onnx/tensor.js';

/** The domain of ONNX Runtime's own operators. */
export const MICROSOFT = 'com.microsoft';

/**
 * Writes the nodes of a model anew, one after the other in the order in which they run, under names that are free.
 * Weights that nothing uses in the end are left out.
 */
export class Emitter {
  readonly #model: Model;
  readonly #taken: Set<string>;
  readonly #nodeNames: Set<string>;
  readonly #nodes: Node[] = [];
  readonly #made: Initializer[] = [];
  readonly #shared = new Map<string, string>();
  #microsoft = false;

  constructor(model: Model) {
    const { graph } = model;
    this.#model = model;
    this.#taken = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
    this.#nodeNames = new Set(graph.nodes.map(({ name }) => name));
    for (const { values } of graph.sparseInitializers) this.#taken.add(values.name);
    for (const node of graph.nodes) for (const name of [...node.outputs, ...usesOf(node)]) this.#taken.add(name);
  }

  /** A tensor name that is free: the stem, or the stem with a number. */
  free(stem: string): string {
    return freeIn(this.#taken, stem);
  }

  /** Adds a constant. @returns its name */
  constant(stem: string, tensor: DenseTensor): string {
    const name = this.free(stem);
    this.#made.push(initializerOf(name, tensor));
    return name;
  }

  /** A constant that is there once, whoever asks for one of the same type, shape and elements. */
  sharedConstant(stem: string, tensor: DenseTensor): string {
    const key = `${tensor.dtype} ${tensor.shape.join()} ${Buffer.from(tensor.data).toString('base64')}`;
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const name = this.constant(stem, tensor);
    this.#shared.set(key, name);
    return name;
  }

  /** A float32 scalar. */
  scalar(stem: string, value: number): string {
    return this.constant(stem, denseTensor('float32', [], new Uint8Array(Float32Array.of(value).buffer)));
  }

  /** A node as it is. */
  add(node: Node): void {
    this.#nodes.push(node);
  }

  /**
   * A new node with one output, which it is named after.
   *
   * @param options a name of the old model's, for a node that takes the place of one
   * @returns the output's name
   */
  node(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: Attributes = {},
    options: { readonly domain?: string; readonly name?: string } = {},
  ): string {
    const { domain = '', name = freeIn(this.#nodeNames, output) } = options;
    if (domain === MICROSOFT) this.#microsoft = true;
    this.#nodes.push({
      ...{ name, opType, domain, inputs, outputs: [output], attributes: attributesOf(attributes) },
      ...{ docString: '', overload: '', metadataProps: [] },
    });
    return output;
  }

  /** The model with the new nodes in place of its own. */
  model(): Model {
    const { graph, opsetImport } = this.#model;
    const used = new Set(graph.outputs.map(({ name }) => name));
    for (const node of this.#nodes) for (const name of usesOf(node)) used.add(name);
    const weights = new Set(graph.initializers.map(({ name }) => name));
    const known = opsetImport.some(({ domain }) => domain === MICROSOFT);
    const added: OpsetId[] = this.#microsoft && !known ? [{ domain: MICROSOFT, version: 1 }] : [];
    return {
      ...this.#model,
      opsetImport: [...opsetImport, ...added],
      graph: {
        ...graph,
        nodes: this.#nodes,
        initializers: [...graph.initializers, ...this.#made].filter(({ name }) => used.has(name)),
        // A weight that was declared as an input too, as old files do, must not become an input that is not given.
        inputs: graph.inputs.filter(({ name }) => used.has(name) || !weights.has(name)),
        // What the file declared of inner tensors names some that are gone.
        valueInfo: [],
      },
    };
  }
}

function freeIn(taken: Set<string>, stem: string): string {
  let name = stem;
  for (let n = 1; taken.has(name); n++) name = `${stem}_${n}`;
  taken.add(name);
  return name;
}
