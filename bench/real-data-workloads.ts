// The workloads of bench:real-data, from the data in $TIERBED_DATA: pictures with trained networks, and texts with a BERT
// that is trained here from nothing.
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../base/random.js';
import { type DataSpec, loadItems } from '../workloads/loaders/index.js';
import type { Workload, WorkloadItem } from '../workloads/types.js';
import { architecture, parametersOf } from '../workloads/zoo/architectures.js';
import { buildFile } from '../workloads/zoo/build-file.js';

/** Tokens of a text. */
export const LENGTH = 32;
/** The token of words that the vocabulary has not. */
export const UNKNOWN = 1;
export const VOCABULARY = 4000;
/** The BERT that is trained from nothing. */
const BERT = { vocabulary: VOCABULARY, positions: LENGTH, layers: 4, hidden: 128, heads: 4, intermediate: 512 };

/** What the items of a data set and its network are: what its results depend on beside their recipes. */
export const CIFAR = { model: 'resnet56_cifar10', training: 3500, tuning: 300, calibration: 200, evaluation: 5000 };
/** How its weights begin: another beginning gives other results. */
const STARTS = parametersOf(architecture('bert-mini'), BERT).map(({ name, start }) => [name, start]);
export const SST2 = {
  model: BERT,
  starts: STARTS,
  length: LENGTH,
  training: 6320,
  tuning: 400,
  calibration: 200,
  evaluation: 2693,
};

function shared(...path: readonly string[]): string {
  const data = process.env.TIERBED_DATA;
  if (!data || !existsSync(join(data, 'MANIFEST.json'))) throw new Error('bench:real-data needs TIERBED_DATA');
  return join(data, ...path);
}

const load = (spec: DataSpec): Promise<readonly WorkloadItem[]> =>
  loadItems(spec, { resolvePath: (path) => path, signal: undefined });

type Parts = Pick<typeof CIFAR, 'training' | 'tuning' | 'calibration'>;

/** Items drawn for training, tuning and calibration. */
function drawn(items: readonly WorkloadItem[], seed: number, { training, tuning, calibration }: Parts) {
  const mixed = new Random(seed).fork('parts').shuffle(items);
  if (mixed.length !== training + tuning + calibration) throw new Error(`${mixed.length} items to train on`);
  return {
    tuning: mixed.slice(0, tuning),
    calibration: mixed.slice(tuning, tuning + calibration),
    training: mixed.slice(tuning + calibration),
  };
}

/** CIFAR-10: 4,000 pictures to train on, of the 50,000 that there are, and ResNet-56 as others trained it on all. */
export async function cifar(seed: number): Promise<Workload> {
  const file = (name: string): string => shared('datasets', 'cifar10', name);
  const items = await load({ loader: 'cifar', path: file('train_lossless_4000.bin') });
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ] as const;
  return {
    ...{ name: 'cifar10', modelPath: shared('models', 'resnet56_cifar10.onnx'), ...drawn(items, seed, CIFAR) },
    items: await load({ loader: 'cifar', path: file('test_jpeg_5000.bin') }),
    preprocess: {
      kind: 'image',
      input: 'input',
      size: 32,
      resizeShorter: 32,
      scale: 255,
      mean: [...mean],
      std: [...std],
    },
    postprocess: { kind: 'argmax', output: 'logits' },
    metric: 'top1',
  };
}

/** SST-2: 6,920 sentences to train on, of 67,349; a BERT of random weights. @param folder for files that are made */
export async function sst2(seed: number, folder: string): Promise<Workload> {
  const file = (name: string): string => shared('datasets', 'sst2', `${name}.tsv`);
  const tokenizer = join(folder, 'vocab.txt');
  // Processes beside this one may be reading them: made under names of their own, and renamed.
  await writeFile(`${tokenizer}.${process.pid}`, (await vocabulary(file('train'))).join('\n'));
  await rename(`${tokenizer}.${process.pid}`, tokenizer);
  const modelPath = join(folder, `bert-${seed}.onnx`);
  await buildFile(architecture('bert-mini'), `${modelPath}.${process.pid}`, { seed, network: BERT, fresh: true });
  await rename(`${modelPath}.${process.pid}`, modelPath);
  const texts = (name: string): Promise<readonly WorkloadItem[]> =>
    load({
      loader: 'tsv',
      path: file(name),
      heading: false,
      textColumn: 0,
      labelColumn: 1,
      tokenizer,
      length: LENGTH,
      dtype: 'int64',
    });
  return {
    ...{ name: 'sst2', modelPath, ...drawn(await texts('train'), seed, SST2) },
    items: [...(await texts('test')), ...(await texts('dev'))],
    preprocess: { kind: 'tensors' },
    postprocess: { kind: 'argmax', output: 'logits' },
    metric: 'top1',
  };
}

/** A vocabulary of whole words and single characters, the words that are seen most often in the training part. */
async function vocabulary(path: string): Promise<string[]> {
  const counts = new Map<string, number>();
  const characters = new Set<string>();
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    for (const word of (line.split('\t')[0] ?? '').toLowerCase().split(/[^a-z0-9]+/)) {
      if (word === '') continue;
      counts.set(word, (counts.get(word) ?? 0) + 1);
      for (const character of word) characters.add(character);
    }
  }
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...'.,\'"!?-;:()$&'];
  const pieces = [...characters].sort().flatMap((character) => [character, `##${character}`]);
  const words = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([word]) => word);
  return [...new Set([...special, ...pieces, ...words])].slice(0, VOCABULARY);
}
