// The networks of bench:train, each with a batch of made-up data: random weights and inputs, the same for both sides.
import type { Random } from '../base/random.js';
import { type DenseTensor, denseTensor, elementCount, float32Tensor } from '../onnx/tensor.js';
import type { OptimizerSpec } from '../operators/train/types.js';
import { architecture } from '../workloads/zoo/architectures.js';
import type { Network, Weights } from '../workloads/zoo/network.js';

/** An input of the batch. */
export interface DenseInput {
  readonly name: string;
  readonly tensor: DenseTensor;
}

export interface BenchModel {
  /** As bench/peers/train_models.py has it. */
  readonly name: string;
  readonly batch: number;
  readonly classes: number;
  readonly optimizer: OptimizerSpec;
  /** Numbers for symbols of the inputs' shapes. */
  readonly dims?: Readonly<Record<string, number>>;
  build(weights: Weights): Network;
  /** The batch's inputs. */
  inputs(random: Random): readonly DenseInput[];
}

const SGD: OptimizerSpec = { kind: 'sgd', rate: 0.01, momentum: 0.9, weightDecay: 0 };
const LENGTH = 128;

function picture(batch: number, size: number): BenchModel['inputs'] {
  const shape = [batch, 3, size, size];
  return (random) => {
    const values = random.fillUniform(new Float32Array(elementCount(shape)), -1, 1);
    return [{ name: 'input', tensor: float32Tensor(shape, values) }];
  };
}

/** Texts of 64 to 128 random tokens. */
function text(batch: number): BenchModel['inputs'] {
  return (random) => {
    const lengths = Array.from({ length: batch }, () => LENGTH / 2 + random.integer(LENGTH / 2));
    const tensor = (value: (length: number, at: number) => number): DenseTensor =>
      int64Tensor(
        [batch, LENGTH],
        lengths.flatMap((length) => Array.from({ length: LENGTH }, (_, at) => value(length, at))),
      );
    return [
      { name: 'input_ids', tensor: tensor((length, at) => (at < length ? 1000 + random.integer(20_000) : 0)) },
      { name: 'attention_mask', tensor: tensor((length, at) => (at < length ? 1 : 0)) },
      { name: 'token_type_ids', tensor: tensor((length, at) => (at >= length / 2 && at < length ? 1 : 0)) },
    ];
  };
}

export function int64Tensor(shape: readonly number[], values: readonly number[]): DenseTensor {
  return denseTensor('int64', shape, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
}

export const MODELS: readonly BenchModel[] = [
  {
    ...{ name: 'resnet20', batch: 64, classes: 10, optimizer: SGD, inputs: picture(64, 32) },
    build: (weights) => architecture('resnet20').build(weights),
  },
  {
    ...{ name: 'mobilenet_v2', batch: 8, classes: 1000, optimizer: { ...SGD, rate: 1e-3 }, inputs: picture(8, 224) },
    build: (weights) => architecture('mobilenet_v2').build(weights),
  },
  {
    ...{ name: 'bert-small', batch: 8, classes: 2, dims: { sequence: LENGTH }, inputs: text(8) },
    optimizer: { kind: 'adamw', rate: 1e-4, weightDecay: 0.01, noDecay: [] },
    build: (weights) => architecture('bert-small').build(weights),
  },
];

export function benchModel(name: string): BenchModel {
  const found = MODELS.find((model) => model.name === name);
  if (!found) throw new Error(`no such model; there are: ${MODELS.map((model) => model.name).join(', ')}`);
  return found;
}
