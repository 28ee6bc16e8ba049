import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { Random } from '../base/random.js';
import { isInteger } from './fold.js';
import { DATA_TYPE, type Dim, dtypeOf, type Model } from './model.js';
import type { Known } from './shapes/context.js';
import { dataDependentShapes } from './shapes/dependence.js';
import { symbolDim } from './shapes/dims.js';
import { type DType, elementCount } from './tensor.js';
import { TYPED_ARRAY } from './typed-array.js';
import { writeModel } from './write.js';

/** A graph input that a run must be fed. `shape` holds numbers and the symbols that are still free. */
interface Feed {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
  /** Numbers that the graph compares this input with, if it is one integer: such as the sample rates that it knows. */
  readonly compared: readonly number[];
}

/** The type that a run gave a tensor. */
interface Measured {
  readonly dtype: number;
  readonly shape: readonly number[];
}

type Sizes = Readonly<Record<string, number>>;
type Outcome = ReadonlyMap<string, Measured>;

/** How inputs are filled: reals between `low` and 1, integers all the same. */
interface Filling {
  readonly seed: number;
  readonly low: number;
  readonly integer: number;
  readonly useCompared: boolean;
}

/** Three fillings as different as can be, so that a shape that follows the data shows: signs mixed, then all positive. */
function fillings(integers: readonly [number, number], useCompared: boolean): readonly [Filling, Filling, Filling] {
  return [
    { seed: 1, low: -1, integer: integers[0], useCompared },
    { seed: 2, low: 0, integer: integers[1], useCompared },
    { seed: 3, low: -0.5, integer: integers[0], useCompared },
  ];
}

/** Tried in turn: where only one integer is accepted, the real inputs vary alone. */
const FILLINGS = [
  fillings([0, 1], true),
  fillings([0, 1], false),
  fillings([0, 0], true),
  fillings([1, 1], true),
] as const;

/** Sizes tried for free symbols that are no batch: token counts, then pictures and sounds. */
const BASE_SIZES: readonly number[] = [4, 32, 224, 512];

/**
 * Types and shapes of the tensors that rules left open, from runs of the model on the CPU with these tensors exposed and
 * graph optimisation off.
 *
 * Runs differ in the sizes of the free symbols and in the data. A dimension is a number when it is the same in all, a
 * symbol when it equals that symbol in all, and undefined otherwise, as it is where an operator such as NonZero makes the
 * shape follow the data. A model that the runtime refuses, or tensors that it cannot hand out, give nothing.
 *
 * @param dims numbers for symbols of the inputs
 * @param known what rules know, by tensor
 */
export async function probeValues(
  model: Model,
  dims: Sizes,
  known: ReadonlyMap<string, Known>,
): Promise<ReadonlyMap<string, Known>> {
  const dependent = dataDependentShapes(model);
  const open = model.graph.nodes.flatMap((node) => node.outputs).filter((name) => isOpen(name, known, dependent));
  const feeds = feedsOf(model, dims, known);
  if (open.length === 0 || !feeds) return new Map();
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-probe-'));
  try {
    const { InferenceSession } = await import('onnxruntime-node');
    const path = join(folder, 'model.onnx');
    await writeModel(withOutputs(model, open), path);
    const session = await InferenceSession.create(path, {
      graphOptimizationLevel: 'disabled',
      executionProviders: ['cpu'],
      enableCpuMemArena: false,
      logSeverityLevel: 4,
    });
    try {
      return await measure(session, open, feeds, dependent);
    } finally {
      await session.release();
    }
  } catch {
    // The runtime refuses the model: an operator that it does not have, or a model that is wrong.
    return new Map();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether a run could add to what is known of a tensor. */
function isOpen(name: string, known: ReadonlyMap<string, Known>, dependent: ReadonlySet<string>): boolean {
  const { dtype, shape } = known.get(name) ?? {};
  if (name === '') return false;
  if (dtype === undefined || !shape) return true;
  return shape.includes(undefined) && !dependent.has(name);
}

function withOutputs(model: Model, names: readonly string[]): Model {
  const { graph } = model;
  const present = new Set(graph.outputs.map((output) => output.name));
  const added = names
    .filter((name) => !present.has(name))
    .map((name) => ({ name, type: { kind: 'undefined' } as const, docString: '', metadataProps: [] }));
  return { ...model, graph: { ...graph, outputs: [...graph.outputs, ...added] } };
}

/** The inputs to feed; undefined when one cannot be made up (a sequence, or an unknown rank). */
function feedsOf(model: Model, dims: Sizes, known: ReadonlyMap<string, Known>): readonly Feed[] | undefined {
  const constants = new Set(model.graph.initializers.map((initializer) => initializer.name));
  const feeds: Feed[] = [];
  for (const { name, type } of model.graph.inputs) {
    if (constants.has(name)) continue;
    const dtype = type.kind === 'tensor' ? dtypeOf(type.elemType) : undefined;
    if (type.kind !== 'tensor' || !type.shape || dtype === undefined) return undefined;
    // A nameless dimension is given a name of its own that no result is ever named after.
    const shape = type.shape.map((dim, axis) => {
      if (dim === undefined) return `\u0000${name}\u0000${axis}`;
      return typeof dim === 'string' && Object.hasOwn(dims, dim) ? (dims[dim] as number) : dim;
    });
    // Reals and lists stay free to vary.
    const single = isInteger(type.elemType) && shape.every((dim) => dim === 1);
    feeds.push({ name, dtype, shape, compared: single ? comparedWith(model, name, known) : [] });
  }
  return feeds;
}

function comparedWith(model: Model, name: string, known: ReadonlyMap<string, Known>): readonly number[] {
  const same = new Set([name]);
  const found: number[] = [];
  for (const node of model.graph.nodes) {
    if (!node.inputs.some((input) => same.has(input))) continue;
    if (['Cast', 'Identity', 'Squeeze', 'Unsqueeze', 'Reshape'].includes(node.opType)) {
      for (const output of node.outputs) same.add(output);
    } else if (['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].includes(node.opType)) {
      for (const input of node.inputs) {
        const value = known.get(input)?.value;
        if (value?.length === 1 && Number.isInteger(value[0])) found.push(value[0] as number);
      }
    }
  }
  return found;
}

/** Two values for each free symbol, all different. */
function sizePairs(feeds: readonly Feed[]): [Sizes, Sizes][] {
  const symbols = [...new Set(feeds.flatMap((feed) => feed.shape.filter((dim) => typeof dim === 'string')))];
  const batches = new Set(feeds.map((feed) => feed.shape[0]));
  if (symbols.length === 0) return [[{}, {}]];
  const spread = (base: number, turn: number): Sizes =>
    Object.fromEntries(
      symbols.map((symbol, i) => [symbol, batches.has(symbol) ? 2 + 2 * i + 5 * turn : base * (2 * i + 1 + turn)]),
    );
  // Symbols that the model calls by two names and yet takes to be equal.
  const equal = (size: number): Sizes => Object.fromEntries(symbols.map((symbol) => [symbol, size]));
  return [
    ...BASE_SIZES.map((base): [Sizes, Sizes] => [spread(base, 0), spread(base, 1)]),
    ...(symbols.length > 1 ? [2, 32].map((base): [Sizes, Sizes] => [equal(base), equal(base + 1)]) : []),
  ];
}

async function measure(
  session: InferenceSession,
  names: readonly string[],
  feeds: readonly Feed[],
  dependent: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Known>> {
  for (const sizes of sizePairs(feeds)) {
    for (const [first, second, third] of FILLINGS) {
      const runs = await inTurn(session, names, feeds, [
        [sizes[0], first],
        [sizes[0], second],
        [sizes[1], third],
      ]);
      if (runs) return agreed(names, runs, dependent);
    }
  }
  return new Map();
}

type Run = { readonly sizes: Sizes; readonly outcome: Outcome };

/** Runs one after the other; undefined when the model refuses one. */
async function inTurn(
  session: InferenceSession,
  names: readonly string[],
  feeds: readonly Feed[],
  plan: readonly (readonly [Sizes, Filling])[],
): Promise<readonly Run[] | undefined> {
  const runs: Run[] = [];
  for (const [sizes, filling] of plan) {
    const outcome = await runOnce(session, names, feeds, sizes, filling);
    if (!outcome) return undefined;
    runs.push({ sizes, outcome });
  }
  return runs;
}

async function runOnce(
  session: InferenceSession,
  names: readonly string[],
  feeds: readonly Feed[],
  sizes: Sizes,
  filling: Filling,
): Promise<Outcome | undefined> {
  const { Tensor } = await import('onnxruntime-node');
  const random = new Random(filling.seed);
  const tensors: Record<string, Tensor> = {};
  for (const feed of feeds) {
    const shape = feed.shape.map((dim) => (typeof dim === 'number' ? dim : (sizes[dim] as number)));
    const data = fill(feed, elementCount(shape), filling, random);
    if (!data) return undefined;
    tensors[feed.name] = new Tensor(feed.dtype as 'float32', data as Float32Array, shape);
  }
  const outcome = new Map<string, Measured>();
  /** The runtime hands out all tensors or none: those that it cannot are found by halving. */
  const fetch = async (part: readonly string[]): Promise<void> => {
    try {
      const results = await session.run(tensors, part);
      for (const [name, tensor] of Object.entries(results)) {
        const dtype = (DATA_TYPE as Record<string, number>)[tensor.type];
        if (dtype !== undefined) outcome.set(name, { dtype, shape: tensor.dims });
        tensor.dispose();
      }
    } catch {
      const middle = part.length >> 1;
      if (middle === 0) return;
      await fetch(part.slice(0, middle));
      await fetch(part.slice(middle));
    }
  };
  if (!(await runs(session, tensors))) return undefined;
  await fetch(names);
  return outcome;
}

/** Whether the model runs at all with these inputs: one of its first outputs can be had. */
async function runs(session: InferenceSession, tensors: Record<string, Tensor>): Promise<boolean> {
  for (const name of session.outputNames.slice(0, 4)) {
    try {
      await session.run(tensors, [name]);
      return true;
    } catch {
      // A failing run, or an output of a kind that cannot be handed out: the next one tells.
    }
  }
  return false;
}

/** The elements of an input; undefined for a type that cannot be fed. */
function fill(feed: Feed, count: number, filling: Filling, random: Random) {
  if (feed.dtype === 'string') return new Array<string>(count).fill('');
  if (feed.dtype === 'bfloat16') return undefined;
  const array = new TYPED_ARRAY[feed.dtype](count);
  const compared = filling.useCompared ? feed.compared[0] : undefined;
  if (array instanceof BigInt64Array || array instanceof BigUint64Array) {
    return array.fill(BigInt(compared ?? filling.integer));
  }
  if (array instanceof Float32Array) return random.fillUniform(array, filling.low, 1);
  if (array instanceof Float64Array) return array.map(() => random.uniform(filling.low, 1));
  // Half-precision numbers by their bits: 1.0 to 1.99.
  if (feed.dtype === 'float16') return array.map(() => 0x3c00 + random.integer(0x400));
  return array.fill(compared ?? filling.integer);
}

/** What all runs say of each tensor. */
function agreed(
  names: readonly string[],
  runs: readonly Run[],
  dependent: ReadonlySet<string>,
): ReadonlyMap<string, Known> {
  const result = new Map<string, Known>();
  for (const name of names) {
    const seen = runs.map((run) => run.outcome.get(name));
    const [first] = seen;
    if (!first || seen.some((other) => other?.dtype !== first.dtype)) continue;
    const sameRank = seen.every((other) => other?.shape.length === first.shape.length);
    const shape = first.shape.map((size, axis): Dim => {
      const sizes = seen.map((other) => other?.shape[axis]);
      if (dependent.has(name)) return undefined;
      if (sizes.every((other) => other === size)) return size;
      const symbols = Object.keys(runs[0]?.sizes ?? {}).filter((symbol) =>
        runs.every((run, i) => run.sizes[symbol] === sizes[i]),
      );
      const [symbol, ...others] = symbols;
      return symbol === undefined || others.length > 0 || symbol.startsWith('\u0000') ? undefined : symbolDim(symbol);
    });
    result.set(name, { dtype: first.dtype, shape: sameRank ? shape : undefined });
  }
  return result;
}
