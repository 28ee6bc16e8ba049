import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { TierbedError } from '../../../base/errors.js';
import type { Progress } from '../../../base/progress.js';
import { float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import { encodeModel } from '../../../onnx/write.js';
import { createPreprocessor } from '../../preprocess/index.js';
import { headAccuracy, ridge, type Samples } from '../../ridge.js';
import { ahead } from './ahead.js';
import { className, PICTURE_CLASSES } from './classes.js';
import { encodedPicture } from './jpeg.js';
import { FEATURE_COUNT, featureModel, PICTURES_PREPROCESS, withHead } from './network.js';
import type { Part } from './render.js';

/** Raised whenever the same seed gives other pictures or another model. */
export const GENERATOR_VERSION = 2;

export interface PicturesConfig {
  readonly seed: number;
  /** Pictures in each part. */
  readonly fit: number;
  readonly tune: number;
  readonly evaluation: number;
}

/** A picture that is kept. */
export interface PictureFile {
  readonly file: string;
  readonly label: string;
}

/** What a finished folder holds; written last. */
export interface PicturesRecord {
  readonly version: number;
  readonly config: PicturesConfig;
  readonly lambda: number;
  /** Of the head on each part, 0 to 1. */
  readonly accuracy: Readonly<Record<Part, number>>;
  readonly classes: readonly string[];
  readonly items: Readonly<Record<Part, readonly PictureFile[]>>;
  /** sha256 of the model and of every item. */
  readonly sha256: Readonly<Record<string, string>>;
}

export const MODEL_FILE = 'model.onnx';
export const RECORD_FILE = 'record.json';

const PARTS: readonly Part[] = ['fit', 'tune', 'evaluation'];

const LAMBDAS = [0.01, 0.03, 0.1, 0.3];

/** Pictures under way at a time: while one is drawn, others are packed and unpacked in sharp's threads. */
const DEPTH = 4;

/**
 * Makes the pictures and the model in an empty folder. Same config, same bytes, on machines whose runtime computes alike.
 *
 * @throws TierbedError `cancelled` when `signal` says so
 */
export async function buildPictures(
  folder: string,
  config: PicturesConfig,
  progress: Progress,
  signal?: AbortSignal,
): Promise<PicturesRecord> {
  for (const part of PARTS) await mkdir(join(folder, part), { recursive: true });
  const total = config.fit + config.tune + config.evaluation;
  progress.start('making the pictures and fitting the model', total);
  const features = featureModel(config.seed);
  const session = await InferenceSession.create(encodeModel(features), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  try {
    const sha256: Record<string, string> = {};
    const items: Record<Part, PictureFile[]> = { fit: [], tune: [], evaluation: [] };
    const keep = async (name: string, bytes: Uint8Array): Promise<void> => {
      sha256[name] = createHash('sha256').update(bytes).digest('hex');
      await writeFile(join(folder, name), bytes);
    };
    let done = 0;
    const samplesOf = async (part: Part, count: number): Promise<Samples> => {
      const samples = { features: new Float32Array(count * FEATURE_COUNT), classes: [] as number[] };
      for await (const { index, jpeg, inputs } of preparedPictures(config.seed, part, count)) {
        if (signal?.aborted) throw new TierbedError('cancelled', 'making the pictures workload was cancelled');
        samples.features.set(await featuresOf(session, inputs), index * FEATURE_COUNT);
        samples.classes.push(index % PICTURE_CLASSES.length);
        const file = `${part}/${String(index).padStart(5, '0')}.jpg`;
        await keep(file, jpeg);
        items[part].push({ file, label: className(index) });
        progress.update(++done);
      }
      return samples;
    };
    const fit = await samplesOf('fit', config.fit);
    const tune = await samplesOf('tune', config.tune);
    const { head, lambda } = chooseHead(fit, tune);
    const evaluation = await samplesOf('evaluation', config.evaluation);
    const accuracy = {
      fit: headAccuracy(head, fit),
      tune: headAccuracy(head, tune),
      evaluation: headAccuracy(head, evaluation),
    };
    const model = withHead(features, head, {
      'tierbed.workload': 'pictures',
      'tierbed.seed': String(config.seed),
      'tierbed.head': `ridge regression, lambda ${lambda}, on ${config.fit} pictures`,
      'tierbed.top1.evaluation': `${accuracy.evaluation} of ${config.evaluation} pictures`,
    });
    await keep(MODEL_FILE, encodeModel(model));
    const classes = PICTURE_CLASSES.map(({ name }) => name);
    const record = { version: GENERATOR_VERSION, config, lambda, accuracy, classes, items, sha256 };
    await writeFile(join(folder, RECORD_FILE), `${JSON.stringify(record, null, 1)}\n`);
    progress.stop(`top-1 ${(100 * accuracy.evaluation).toFixed(1)} % on ${config.evaluation} pictures kept apart`);
    return record;
  } finally {
    await session.release();
  }
}

/** The head that does best on the tuning part; of equals, the one with the stronger regularisation. */
function chooseHead(fit: Samples, tune: Samples) {
  const headFor = ridge(fit, PICTURE_CLASSES.length);
  return LAMBDAS.map((lambda) => {
    const head = headFor(lambda);
    return { lambda, head, score: headAccuracy(head, tune) };
  }).reduce((best, next) => (next.score >= best.score ? next : best));
}

interface PreparedPicture {
  readonly index: number;
  readonly jpeg: Uint8Array;
  readonly inputs: readonly NamedTensor[];
}

/** The pictures of a part as a node gets them: drawn, encoded, and taken through the preprocessing. */
function preparedPictures(seed: number, part: Part, count: number): AsyncGenerator<PreparedPicture> {
  const preprocess = createPreprocessor(PICTURES_PREPROCESS);
  return ahead(count, DEPTH, async (index) => {
    const jpeg = await encodedPicture(seed, part, index);
    return { index, jpeg, inputs: await preprocess(jpeg) };
  });
}

async function featuresOf(session: InferenceSession, inputs: readonly NamedTensor[]): Promise<Float32Array> {
  const feeds = Object.fromEntries(
    inputs.map(({ name, tensor }) => [name, new Tensor('float32', float32Values(tensor), [...tensor.shape])]),
  );
  return (await session.run(feeds)).features?.data as Float32Array;
}
