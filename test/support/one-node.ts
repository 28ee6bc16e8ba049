import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Random } from '../../base/random.js';
import { type AttributeInput, attributesOf, initializerOf } from '../../onnx/build/attributes.js';
import { encodeModel } from '../../onnx/encode.js';
import { DATA_TYPE, type Dim, type Model, type ValueInfo } from '../../onnx/model.js';
import { type DenseTensor, type DType, denseTensor, ELEMENT_BYTES, elementCount } from '../../onnx/tensor.js';
import { TYPED_ARRAY } from '../../onnx/typed-array.js';

/** An input of a one-node model: what the runtime is fed, or a constant of the graph. */
export interface Feed {
  readonly dtype: Exclude<DType, 'string' | 'float16' | 'bfloat16'>;
  readonly shape: readonly number[];
  /** Elements; a single one fills the tensor. Without any: 1 for reals, 0 for integers. */
  readonly value?: readonly number[] | undefined;
  readonly constant?: boolean;
}

export interface OneNode {
  readonly op: string;
  readonly domain?: string;
  readonly opset?: number;
  /** undefined is an optional input left out. */
  readonly inputs: readonly (Feed | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput | undefined>>;
  readonly outputs?: number;
}

export interface RunType {
  readonly dtype: number;
  readonly shape: readonly number[];
}

export function real(shape: readonly number[]): Feed {
  return { dtype: 'float32', shape };
}

/** A constant list of int64. */
export function list(value: readonly number[]): Feed {
  return { dtype: 'int64', shape: [value.length], value, constant: true };
}

/** A constant scalar of int64. */
export function scalar(value: number): Feed {
  return { dtype: 'int64', shape: [], value: [value], constant: true };
}

function dataOf({ dtype, shape, value }: Feed) {
  const array = new TYPED_ARRAY[dtype](elementCount(shape));
  const filling = value ?? [dtype.startsWith('float') ? 1 : 0];
  for (let i = 0; i < array.length; i++) {
    const element = filling[filling.length === 1 ? 0 : i] as number;
    if (array instanceof BigInt64Array || array instanceof BigUint64Array) array[i] = BigInt(element);
    else array[i] = element;
  }
  return array;
}

export function tensorOf(feed: Feed): DenseTensor {
  const { buffer, byteLength } = dataOf(feed);
  if (byteLength !== elementCount(feed.shape) * ELEMENT_BYTES[feed.dtype]) throw new Error('wrong size');
  return denseTensor(feed.dtype, feed.shape, new Uint8Array(buffer));
}

function untyped(name: string): ValueInfo {
  return { name, type: { kind: 'undefined' }, docString: '', metadataProps: [] };
}

/**
 * A model of a single node, its inputs `in0`, `in1`... and outputs `out0`...
 *
 * @param dims names for dimensions: gives the declared dimension for a size of an input
 */
export function oneNodeModel(
  node: OneNode,
  dims: (size: number, input: number, axis: number) => Dim = (s) => s,
): Model {
  const names = node.inputs.map((feed, i) => (feed ? `in${i}` : ''));
  while (names.at(-1) === '') names.pop();
  const outputs = Array.from({ length: node.outputs ?? 1 }, (_, i) => `out${i}`);
  return {
    irVersion: 8,
    opsetImport: [
      { domain: '', version: node.opset ?? 17 },
      { domain: 'com.microsoft', version: 1 },
    ],
    producerName: '',
    producerVersion: '',
    domain: '',
    modelVersion: 0n,
    docString: '',
    metadataProps: [],
    functions: [],
    graph: {
      name: node.op,
      nodes: [
        {
          name: 'node',
          opType: node.op,
          domain: node.domain ?? '',
          inputs: names,
          outputs,
          attributes: attributesOf(node.attributes ?? {}),
          docString: '',
          overload: '',
          metadataProps: [],
        },
      ],
      initializers: node.inputs.flatMap((feed, i) => (feed?.constant ? [initializerOf(`in${i}`, tensorOf(feed))] : [])),
      sparseInitializers: [],
      inputs: node.inputs.flatMap((feed, i): ValueInfo[] => {
        if (!feed || feed.constant) return [];
        const shape = feed.shape.map((size, axis) => dims(size, i, axis));
        return [{ ...untyped(`in${i}`), type: { kind: 'tensor', elemType: DATA_TYPE[feed.dtype], shape } }];
      }),
      outputs: outputs.map(untyped),
      valueInfo: [],
      docString: '',
      quantizationAnnotation: [],
      metadataProps: [],
    },
  };
}

/** The types that the runtime gives the outputs of a model; undefined when it refuses the model or the inputs. */
export async function runTypes(
  model: Model,
  feeds: Readonly<Record<string, Feed>>,
): Promise<Map<string, RunType> | undefined> {
  const results = await runModel(model, feeds);
  return results && new Map([...results].map(([name, { dtype, shape }]) => [name, { dtype, shape }]));
}

/** The outputs of a model, elements as numbers; undefined when the runtime refuses the model or the inputs. */
export async function runModel(
  model: Model,
  feeds: Readonly<Record<string, Feed>>,
): Promise<Map<string, RunType & { readonly elements: readonly number[] }> | undefined> {
  let session: InferenceSession | undefined;
  try {
    session = await InferenceSession.create(encodeModel(model), {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: 1,
      logSeverityLevel: 4,
    });
    const tensors = Object.entries(feeds).map(([name, feed]) => {
      return [name, new Tensor(feed.dtype as 'float32', dataOf(feed) as Float32Array, feed.shape)] as const;
    });
    const results = await session.run(Object.fromEntries(tensors));
    return new Map(
      Object.entries(results).map(([name, { type, dims, data }]) => {
        const elements = Array.from(data as ArrayLike<number | bigint>, Number);
        return [name, { dtype: DATA_TYPE[type as DType], shape: dims, elements }];
      }),
    );
  } catch (error) {
    if (process.env.TIERBED_TEST_VERBOSE) console.error(String(error));
    return undefined;
  } finally {
    await session?.release();
  }
}

/** The feeds of a one-node model by name. */
export function feedsOf(node: OneNode): Record<string, Feed> {
  return Object.fromEntries(
    node.inputs.flatMap((feed, i) => (feed && !feed.constant ? [[`in${i}`, feed] as const] : [])),
  );
}

/** Whole numbers drawn from low..high. */
export function draw(random: Random, low: number, high: number): number {
  return low + random.integer(high - low + 1);
}

export function draws(random: Random, count: number, low: number, high: number): number[] {
  return Array.from({ length: count }, () => draw(random, low, high));
}
