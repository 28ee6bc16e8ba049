import { InferenceSession, type OnnxValue, Tensor } from 'onnxruntime-node';
import { Random } from '../../base/random.js';
import { encodeModel } from '../../onnx/encode.js';
import { dtypeOf, type Model } from '../../onnx/model.js';

export type Tensors = Readonly<Record<string, Tensor>>;
export type Level = 'disabled' | 'all';

/** Seeded inputs for a model; symbolic dimensions take `dims`, else 1. Silero's sample rate is the one it is made for. */
export function seededInputs(model: Model, dims: Readonly<Record<string, number>> = {}, seed = 1): Tensors {
  const weights = new Set(model.graph.initializers.map(({ name }) => name));
  const feeds: Record<string, Tensor> = {};
  for (const { name, type } of model.graph.inputs) {
    if (weights.has(name) || type.kind !== 'tensor') continue;
    const shape = (type.shape ?? []).map((d) => (typeof d === 'number' ? d : (dims[d ?? ''] ?? 1)));
    const count = shape.reduce((a, b) => a * b, 1);
    const random = new Random(seed).fork(name);
    switch (dtypeOf(type.elemType)) {
      case 'float32':
        feeds[name] = new Tensor('float32', random.fillUniform(new Float32Array(count), -1, 1), shape);
        break;
      case 'int32':
        feeds[name] = new Tensor(
          'int32',
          Int32Array.from({ length: count }, () => random.integer(257)),
          shape,
        );
        break;
      case 'int64':
        feeds[name] = new Tensor(
          'int64',
          BigInt64Array.from({ length: count }, () => (name === 'sr' ? 16000n : 1n)),
          shape,
        );
        break;
      case 'bool':
        feeds[name] = new Tensor(
          'bool',
          Uint8Array.from({ length: count }, () => random.integer(2)),
          shape,
        );
        break;
      default:
        throw new Error(`no seeded input of type ${type.elemType}`);
    }
  }
  return feeds;
}

/** Sizes with which every shared model runs. */
export const SHARED_DIMS: Readonly<Record<string, number>> = { batch: 1, sequence: 512 };

/** Runs a model once, on one thread: from its file, its bytes, or as data. */
export async function runModel(
  model: string | Uint8Array | Model,
  feeds: Readonly<Record<string, OnnxValue>>,
  level: Level = 'disabled',
): Promise<Tensors> {
  const options: InferenceSession.SessionOptions = {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  };
  const session =
    typeof model === 'string'
      ? await InferenceSession.create(model, options)
      : await InferenceSession.create(model instanceof Uint8Array ? model : encodeModel(model), options);
  try {
    const wanted = Object.fromEntries(
      session.inputNames.map((name) => {
        const value = feeds[name];
        if (!value) throw new Error(`no tensor ${name} for the model`);
        return [name, value];
      }),
    );
    return (await session.run(wanted)) as Tensors;
  } finally {
    await session.release();
  }
}

/** Runs stages one after the other, each fed with nothing but what the one before gives. */
export async function runStages(stages: readonly Model[], feeds: Tensors, level: Level = 'disabled'): Promise<Tensors> {
  let values = feeds;
  for (const stage of stages) values = await runModel(stage, values, level);
  return values;
}

/** A tensor's payload as bytes. */
export function bytesOf(tensor: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Whether two results have the same names, shapes and bytes. */
export function sameBytes(a: Tensors, b: Tensors): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => {
      const [x, y] = [a[name], b[name]];
      return x && y && x.dims.join() === y.dims.join() && Buffer.compare(bytesOf(x), bytesOf(y)) === 0;
    })
  );
}

/** The largest absolute difference of float32 results, and whether each has its largest element in the same place. */
export function difference(a: Tensors, b: Tensors): { largest: number; samePredictions: boolean } {
  let largest = 0;
  let samePredictions = true;
  for (const [name, tensor] of Object.entries(a)) {
    const x = tensor.data as Float32Array;
    const y = b[name]?.data as Float32Array;
    for (let i = 0; i < x.length; i++) largest = Math.max(largest, Math.abs((x[i] as number) - (y[i] as number)));
    samePredictions &&= x.indexOf(Math.max(...x)) === y.indexOf(Math.max(...y));
  }
  return { largest, samePredictions };
}
