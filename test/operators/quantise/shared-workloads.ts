import { join } from 'node:path';
import { loadWorkload, type ModelWorkloadSpec } from '../../../workloads/index.js';
import type { Workload } from '../../../workloads/types.js';

/** How the shared models are fed, by name, where there is labelled data for them. */
function specs(dir: string): Readonly<Record<string, ModelWorkloadSpec>> {
  const path = (name: string) => join(dir, 'datasets', name);
  const model = (name: string) => join(dir, 'models', `${name}.onnx`);
  const photos = path('imagenet-sample-1000');
  const imagenet = { loader: 'image-folder', path: photos, labels: join(photos, 'labels.csv') } as const;
  const picture = (
    input: string,
    size: number,
    scale: number,
    mean: readonly [number, number, number],
    std: readonly [number, number, number],
  ) =>
    ({
      kind: 'image',
      input,
      size,
      resizeShorter: Math.round(size / (size === 32 ? 1 : 0.875)),
      scale,
      mean,
      std,
    }) as const;
  const ones = [1, 1, 1] as const;
  const argmax = (output: string) => ({ kind: 'argmax', output }) as const;
  const cifar = { loader: 'cifar', path: join(path('cifar10'), 'train_lossless_4000.bin') } as const;
  const resnet = picture('input', 32, 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
  const tiny = picture('input', 32, 1, [0, 0, 0], ones);
  const of = (
    name: string,
    data: ModelWorkloadSpec['data'],
    preprocess: ModelWorkloadSpec['preprocess'],
    output = 'logits',
  ) => ({
    [name]: { model: model(name), data, preprocess, postprocess: argmax(output), metric: 'top1' },
  });
  return {
    ...of('mobilenet_v1_0.25_128', imagenet, picture('input', 128, 127.5, ones, ones)),
    ...of('mobilenet_v1_0.75_192', imagenet, picture('input', 192, 127.5, ones, ones)),
    ...of('mobilenet_v2_1.0_224', imagenet, picture('input', 224, 127.5, ones, ones)),
    ...of('squeezenet1.0_deep_compressed', imagenet, picture('input', 227, 1, [123, 117, 104], ones)),
    ...of('resnet20_cifar10', cifar, resnet),
    ...of('resnet32_cifar10', cifar, resnet),
    ...of('resnet56_cifar10', cifar, resnet),
    ...of('mlperf_tiny_resnet8_cifar10', cifar, tiny),
    ...of('mlperf_tiny_resnet_large_cifar10', cifar, tiny),
    ...of(
      'vit_ibp_3_3_8_cifar10',
      cifar,
      picture('input', 32, 255, [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.201]),
      'output',
    ),
    ...of(
      'mlperf_tiny_kws_dscnn',
      {
        ...{ loader: 'tensor-file', path: join(path('mlperf-tiny-kws01'), 'mfcc_i8.bin'), stored: 'int8' },
        ...{ input: 'input', shape: [1, 1, 49, 10], offset: 83, scale: 0.5847029 },
        labels: join(path('mlperf-tiny-kws01'), 'labels.csv'),
      },
      { kind: 'tensors' },
    ),
    ...of(
      'mnist_cnn_opset8',
      {
        ...{ loader: 'idx', images: join(path('mnist'), 't10k-images-idx3-ubyte.gz'), input: 'Input3' },
        labels: join(path('mnist'), 't10k-labels-idx1-ubyte.gz'),
      },
      { kind: 'tensors' },
      'Plus214_Output_0',
    ),
    ...of(
      'magika_standard_v3_3',
      {
        ...{ loader: 'tensor-file', path: join(path('magika-basic'), 'bytes_i16.bin'), stored: 'int16' },
        ...{
          input: 'bytes',
          shape: [1, 2048],
          dtype: 'int32',
          labels: join(path('magika-basic'), 'labels.csv'),
          labelColumn: 'label_index',
        },
      },
      { kind: 'tensors' },
      'target_label',
    ),
  };
}

/** Names of the shared models that have labelled data. */
export function labelledModels(dir: string): readonly string[] {
  return Object.keys(specs(dir));
}

/** A shared model with its data in three parts, interleaved: none of an item in two. */
export async function sharedWorkload(
  dir: string,
  name: string,
  sizes: { readonly calibration: number; readonly evaluation: number },
): Promise<Workload> {
  const spec = specs(dir)[name];
  if (!spec) throw new Error(`no data for ${name}`);
  const workload = await loadWorkload(spec, { baseDir: dir, name });
  const every = (remainder: number, count: number) =>
    workload.items.filter((_, i) => i % 3 === remainder).slice(0, count);
  return {
    ...workload,
    calibration: every(0, sizes.calibration),
    tuning: every(1, sizes.evaluation),
    items: every(2, sizes.evaluation),
  };
}
