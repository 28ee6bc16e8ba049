import { floatAttr } from '../../attribute.js';
import { type Attributes, float, GraphBuilder, type Value } from '../../build.js';
import type { TensorType } from '../../infer.js';
import { initializerElements, initializerTensor } from '../../initializer.js';
import { DATA_TYPE, type Initializer, type Model, type Node } from '../../model.js';
import { isOnnxDomain } from '../../passes/walk.js';
import { float32Values } from '../../tensor.js';
import { emitBatchNormalization, type RunningStatistics } from '../batch-statistics.js';
import { BLOCKED } from './domain.js';
import type { Picture } from './emit.js';
import { backward, correlated, geometryOf, groupOf } from './geometry.js';

export interface BlockedOptions {
  /** Channels in a block. */
  readonly block: number;
  readonly shapes: ReadonlyMap<string, TensorType>;
  readonly batchNorm: 'batch' | 'frozen';
  /** Tensors that must be there in the plain layout. */
  readonly keep: readonly string[];
}

/** Operators on one tensor, a number at a time: they do not see how it lies in memory. */
const UNARY = new Set(['Relu', 'LeakyRelu', 'Elu', 'Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'Softplus']);

/** The same, of two tensors of one shape. */
const BINARY = new Set(['Add', 'Sub', 'Mul']);

/**
 * A forward pass whose convolutions, normalisations and all that can follow them work on the blocked layout
 * (`BLOCKED`), with pictures brought into it and out of it where need be.
 *
 * @returns undefined when no convolution has a blocked form
 */
export function blockedForward(
  model: Model,
  options: BlockedOptions,
): { readonly builder: GraphBuilder; readonly statistics: readonly RunningStatistics[] } | undefined {
  const blocker = new Blocker(model, options);
  return blocker.run();
}

class Blocker {
  readonly #model: Model;
  readonly #options: BlockedOptions;
  readonly #builder: GraphBuilder;
  readonly #constants: ReadonlyMap<string, Initializer>;
  readonly #statistics: RunningStatistics[] = [];
  /** Tensors of the model that exist in the blocked layout, by their names there. */
  readonly #blocked = new Map<string, Value>();
  #convolutions = 0;

  constructor(model: Model, options: BlockedOptions) {
    this.#model = model;
    this.#options = options;
    this.#builder = GraphBuilder.from({ ...model, graph: { ...model.graph, nodes: [], outputs: [] } });
    this.#builder.reserve(model.graph.nodes);
    this.#builder.useDomain(BLOCKED, 1);
    this.#constants = new Map(model.graph.initializers.map((each) => [each.name, each]));
  }

  run() {
    const { graph } = this.#model;
    for (const node of graph.nodes) this.#take(node);
    if (this.#convolutions === 0) return undefined;
    for (const name of [...this.#options.keep, ...graph.outputs.map((output) => output.name)]) this.#plain(name);
    return { builder: this.#builder, statistics: this.#statistics };
  }

  #take(node: Node): void {
    if (isOnnxDomain(node.domain)) {
      if (node.opType === 'Conv' && this.#convolution(node)) return;
      if (node.opType === 'BatchNormalization' && this.#normalisation(node)) return;
      if (node.opType === 'GlobalAveragePool' && this.#pool(node)) return;
      if (node.opType === 'Clip' && this.#clip(node)) return;
      if (UNARY.has(node.opType) && this.#elementwise(node, 1)) return;
      if (BINARY.has(node.opType) && this.#elementwise(node, 2)) return;
    }
    for (const input of node.inputs) this.#plain(input);
    if (node.opType === 'BatchNormalization' && isOnnxDomain(node.domain) && this.#options.batchNorm === 'batch') {
      const shape = this.#options.shapes.get(node.inputs[0] as string)?.shape as readonly number[];
      this.#statistics.push(emitBatchNormalization(this.#builder, node, shape));
    } else this.#builder.copy(node);
  }

  #convolution(node: Node): boolean {
    const [x, w, bias] = node.inputs as readonly [string, string, string?];
    const [from, to] = [this.#picture(x), this.#picture(node.outputs[0] as string)];
    const shape = this.#sizes(w);
    if (!from || !to || shape?.length !== 4) return false;
    const { block } = this.#options;
    const geometry = geometryOf(node, shape);
    const group = groupOf(node);
    const [o, i] = [shape[0] as number, shape[1] as number];
    if (!geometry || o % 4 !== 0) return false;
    const depthwise = group > 1 && group === from[1] && group === o && i === 1;
    const plain = group === 1 && i < block && !this.#blocked.has(x);
    if (depthwise ? o % 4 !== 0 || !correlated(geometry, from, to) : group !== 1 || (!plain && i % 4 !== 0))
      return false;
    if (!plain && !backward(geometry, from, to)) return false;
    const inputs = [plain ? this.#plain(x) : this.#block(x), this.#plain(w), bias ? this.#plain(bias) : undefined];
    const { kernel, strides, pads } = geometry;
    this.#emit(node, inputs, {
      ...{ kernel_shape: kernel, strides, pads, group, plain: plain ? 1 : 0 },
    });
    this.#convolutions++;
    return true;
  }

  #normalisation(node: Node): boolean {
    const [x, scale, bias, mean, variance] = node.inputs as readonly [string, string, string, string, string];
    const shape = this.#picture(x);
    if (!shape || !this.#blocked.has(x)) return false;
    const count = shape[0] * shape[2] * shape[3];
    const ofBatch = this.#options.batchNorm === 'batch';
    if (ofBatch && count < 2) return false;
    const given = this.#block(x);
    const name = node.outputs[0] as string;
    const epsilon = float(floatAttr(node, 'epsilon') ?? 1e-5);
    const { block } = this.#options;
    let statistics: readonly Value[] = [mean, variance];
    if (ofBatch) {
      const names = [`${name}.batch_mean`, `${name}.batch_variance`] as const;
      statistics = this.#builder.nodeWithOutputs(
        'Statistics',
        [given],
        names,
        { block },
        { domain: BLOCKED, name: `${name}.statistics` },
      );
      const momentum = floatAttr(node, 'momentum') ?? 0.9;
      this.#statistics.push({ mean, variance, batchMean: names[0], batchVariance: names[1], momentum, count });
    }
    this.#emit(node, [given, this.#plain(scale), this.#plain(bias), ...statistics], {
      epsilon,
      batch: ofBatch ? 1 : 0,
    });
    return true;
  }

  #pool(node: Node): boolean {
    const x = node.inputs[0] as string;
    if (!this.#blocked.has(x)) return false;
    const name = node.outputs[0] as string;
    this.#builder.nodeWithOutputs(
      'GlobalAveragePool',
      [this.#block(x)],
      [name],
      { block: this.#options.block },
      { domain: BLOCKED, name },
    );
    return true;
  }

  #clip(node: Node): boolean {
    const [x, low, high] = node.inputs as readonly [string, string?, string?];
    const bounds = [low, high].map((bound) => this.#number(bound ?? ''));
    if (!this.#blocked.has(x) || bounds.includes(undefined)) return false;
    this.#emit(node, [this.#block(x)], { low: float(bounds[0] as number), high: float(bounds[1] as number) });
    return true;
  }

  #elementwise(node: Node, operands: number): boolean {
    const inputs = node.inputs.slice(0, operands);
    if (!inputs.some((name) => this.#blocked.has(name))) return false;
    const shape = this.#picture(inputs.find((name) => this.#blocked.has(name)) as string);
    const scalar = (name: string): boolean => this.#number(name) !== undefined;
    const same = (name: string): boolean =>
      this.#picture(name)?.join() === shape?.join() && (this.#blocked.has(name) || !this.#constants.has(name));
    if (!shape || !inputs.every((name) => scalar(name) || same(name))) return false;
    const given = inputs.map((name) => (scalar(name) ? name : this.#block(name)));
    const output = node.outputs[0] as string;
    const name = `${output}.blocked`;
    this.#builder.copy({ ...node, name: node.name ? `${node.name}.blocked` : '', inputs: given, outputs: [name] });
    this.#blocked.set(output, name);
    return true;
  }

  /** Adds a blocked node in a node's place. */
  #emit(node: Node, inputs: readonly (Value | undefined)[], attributes: Attributes): void {
    const output = node.outputs[0] as string;
    const name = `${output}.blocked`;
    const all = { ...attributes, block: this.#options.block };
    this.#builder.nodeWithOutputs(node.opType, inputs, [name], all, { domain: BLOCKED, name });
    this.#blocked.set(output, name);
  }

  /** A tensor in the blocked layout. */
  #block(name: string): Value {
    const found = this.#blocked.get(name);
    if (found !== undefined) return found;
    const made = `${name}.blocked`;
    this.#builder.nodeWithOutputs(
      'Block',
      [name],
      [made],
      { block: this.#options.block },
      { domain: BLOCKED, name: made },
    );
    this.#blocked.set(name, made);
    return made;
  }

  /** A tensor in the plain layout. */
  #plain(name: string): Value {
    const found = this.#blocked.get(name);
    if (found === undefined || this.#builder.has(name)) return name;
    this.#builder.nodeWithOutputs(
      'Unblock',
      [found],
      [name],
      { block: this.#options.block },
      { domain: BLOCKED, name: `${name}.plain` },
    );
    return name;
  }

  #sizes(name: string): readonly number[] | undefined {
    const type = this.#options.shapes.get(name);
    const sizes = type?.shape.every((dim) => typeof dim === 'number') ? (type.shape as readonly number[]) : undefined;
    return type?.dtype === DATA_TYPE.float32 ? sizes : undefined;
  }

  /** The sizes of a picture that has a blocked form. */
  #picture(name: string): Picture | undefined {
    const sizes = this.#sizes(name);
    return sizes?.length === 4 ? (sizes as unknown as Picture) : undefined;
  }

  /** A constant that is one number. */
  #number(name: string): number | undefined {
    const constant = this.#constants.get(name);
    if (!constant || constant.dataType !== DATA_TYPE.float32 || initializerElements(constant) !== 1) return undefined;
    const tensor = initializerTensor(constant);
    return tensor.dtype === 'float32' ? float32Values(tensor)[0] : undefined;
  }
}
