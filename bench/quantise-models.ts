// The models of bench:quantise, with their data: trained ones of $TIERBED_DATA, and a BERT with random weights.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../base/random.js';
import { type DenseTensor, denseTensor } from '../onnx/tensor.js';
import { encodeItemFile } from '../workloads/item-file.js';
import { type DataSpec, loadItems } from '../workloads/loaders/index.js';
import type { PreprocessSpec, Workload, WorkloadItem } from '../workloads/types.js';
import { architecture } from '../workloads/zoo/architectures.js';
import { buildFile } from '../workloads/zoo/build-file.js';

/** How a model is quantised, in both sides' terms. */
export interface Setting {
  readonly operator: 'sptq' | 'dynamic';
  readonly method?: 'minmax' | 'percentile' | 'entropy';
  readonly format?: 'qdq' | 'qoperator';
  readonly perChannel: boolean;
}

export interface BenchModel {
  readonly name: string;
  readonly settings: readonly Setting[];
  /** Whether its data has labels; else accuracy is agreement with the float model. */
  readonly labelled: boolean;
  /**
   * How many draws of the data into calibration and evaluation accuracies are the mean of: where one draw moves them by
   * more than the bound. 1 unless said otherwise.
   */
  readonly draws?: number;
  /** @param folder for files that are made */
  load(folder: string, draw: number): Promise<Workload>;
}

const QDQ: Setting = { operator: 'sptq', method: 'minmax', format: 'qdq', perChannel: true };

function shared(...path: readonly string[]): string {
  const data = process.env.TIERBED_DATA;
  if (!data || !existsSync(join(data, 'MANIFEST.json'))) throw new Error('bench:quantise needs TIERBED_DATA');
  return join(data, ...path);
}

interface Parts {
  readonly calibration: readonly WorkloadItem[];
  readonly evaluation: readonly WorkloadItem[];
}

const load = (spec: DataSpec): Promise<readonly WorkloadItem[]> =>
  loadItems(spec, { resolvePath: (path) => path, signal: undefined });

/** Data in one piece: some of it, drawn at random, to calibrate on; the rest to evaluate on. */
async function split(spec: DataSpec, calibration: number, draw: number): Promise<Parts> {
  const items = new Random(5 + draw).shuffle(await load(spec));
  return { calibration: items.slice(0, calibration), evaluation: items.slice(calibration) };
}

const photos = (calibration: number, draw: number): Promise<Parts> => {
  const path = shared('datasets', 'imagenet-sample-1000');
  return split({ loader: 'image-folder', path, labels: join(path, 'labels.csv') }, calibration, draw);
};

async function cifar(calibration: number, draw: number): Promise<Parts> {
  const file = (name: string): string => shared('datasets', 'cifar10', name);
  const train = await load({ loader: 'cifar', path: file('train_lossless_4000.bin') });
  const evaluation = await load({ loader: 'cifar', path: file('test_jpeg_5000.bin') });
  return { calibration: train.slice(draw * calibration, (draw + 1) * calibration), evaluation };
}

const keywords = (calibration: number, draw: number): Promise<Parts> =>
  split(
    {
      ...{ loader: 'tensor-file', path: shared('datasets', 'mlperf-tiny-kws01', 'mfcc_i8.bin'), stored: 'int8' },
      ...{ input: 'input', shape: [1, 1, 49, 10], offset: 83, scale: 0.5847029 },
      labels: shared('datasets', 'mlperf-tiny-kws01', 'labels.csv'),
    },
    calibration,
    draw,
  );

/** A classifier of the shared data. */
function classifier(
  name: string,
  file: string,
  data: (draw: number) => Promise<Parts>,
  preprocess: PreprocessSpec,
  options: {
    readonly output?: string;
    readonly settings?: readonly Setting[];
    readonly labelled?: boolean;
    readonly draws?: number;
  } = {},
): BenchModel {
  const { output = 'logits', settings = [QDQ], labelled = true, draws = 1 } = options;
  return {
    name,
    settings,
    labelled,
    draws,
    async load(_folder, draw) {
      const { calibration, evaluation } = await data(draw);
      return {
        ...{ name, modelPath: shared('models', file), preprocess },
        ...{ items: evaluation, training: [], calibration, tuning: [] },
        ...{ postprocess: { kind: 'argmax', output }, metric: 'top1' },
      };
    },
  };
}

const image = (size: number, resizeShorter: number, scale: number, mean: number[], std: number[]): PreprocessSpec => ({
  ...{ kind: 'image', input: 'input', size, resizeShorter, scale },
  mean: mean as [number, number, number],
  std: std as [number, number, number],
});

const ONES = [1, 1, 1];
const IMAGENET = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
] as const;
const CIFAR = [
  [0.4914, 0.4822, 0.4465],
  [0.2023, 0.1994, 0.201],
] as const;

const SEQUENCE = 128;

/** Texts of random tokens and lengths: the first piece calibrates, the rest is to evaluate on. */
function texts(count: number, from: number): readonly WorkloadItem[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new Random(7).fork(`text ${from + i}`);
    const length = 16 + random.integer(SEQUENCE - 16);
    const tensor = (value: (at: number) => number): DenseTensor => {
      const values = BigInt64Array.from({ length: SEQUENCE }, (__, at) => BigInt(at < length ? value(at) : 0));
      return denseTensor('int64', [1, SEQUENCE], new Uint8Array(values.buffer));
    };
    const tensors = [
      { name: 'input_ids', tensor: tensor(() => 1000 + random.integer(20_000)) },
      { name: 'attention_mask', tensor: tensor(() => 1) },
      { name: 'token_type_ids', tensor: tensor((at) => (at < length / 2 ? 0 : 1)) },
    ];
    return { id: `text-${from + i}`, label: '', read: async () => encodeItemFile(tensors) };
  });
}

const bert: BenchModel = {
  name: 'bert-small',
  settings: [QDQ, { operator: 'dynamic', perChannel: true }],
  labelled: false,
  async load(folder) {
    const modelPath = join(folder, 'bert-small.onnx');
    if (!existsSync(modelPath)) await buildFile(architecture('bert-small'), modelPath);
    return {
      ...{ name: 'bert-small', modelPath },
      ...{ items: texts(200, 50), training: [], calibration: texts(50, 0), tuning: [] },
      ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'argmax', output: 'logits' }, metric: 'top1' },
    };
  },
};

export const MODELS: readonly BenchModel[] = [
  classifier('kws-dscnn', 'mlperf_tiny_kws_dscnn.onnx', (draw) => keywords(200, draw), { kind: 'tensors' }),
  classifier(
    'vww-mobilenet',
    'mlperf_tiny_vww_mobilenet_96.onnx',
    (draw) => photos(100, draw),
    image(96, 96, 255, [0, 0, 0], ONES),
    { labelled: false },
  ),
  classifier(
    'resnet20',
    'resnet20_cifar10.onnx',
    (draw) => cifar(200, draw),
    image(32, 32, 255, [...IMAGENET[0]], [...IMAGENET[1]]),
    { settings: [QDQ, { ...QDQ, format: 'qoperator' }, { ...QDQ, perChannel: false }] },
  ),
  classifier(
    'resnet56',
    'resnet56_cifar10.onnx',
    (draw) => cifar(200, draw),
    image(32, 32, 255, [...IMAGENET[0]], [...IMAGENET[1]]),
  ),
  classifier(
    'vit',
    'vit_ibp_3_3_8_cifar10.onnx',
    (draw) => cifar(200, draw),
    image(32, 32, 255, [...CIFAR[0]], [...CIFAR[1]]),
    {
      ...{ output: 'output', settings: [QDQ, { operator: 'dynamic', perChannel: true }] },
    },
  ),
  classifier(
    'squeezenet',
    'squeezenet1.0_deep_compressed.onnx',
    (draw) => photos(100, draw),
    image(227, Math.round(227 / 0.875), 1, [123, 117, 104], ONES),
    { draws: 5 },
  ),
  classifier(
    'mobilenetv2',
    'mobilenet_v2_1.0_224.onnx',
    (draw) => photos(100, draw),
    image(224, 256, 127.5, ONES, ONES),
    {
      ...{ settings: [QDQ, { ...QDQ, method: 'percentile' }, { ...QDQ, method: 'entropy' }], draws: 5 },
    },
  ),
  bert,
];
