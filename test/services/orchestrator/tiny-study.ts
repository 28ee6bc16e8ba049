import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { stringify } from 'yaml';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { writeModel } from '../../../onnx/write.js';

const SIDE = 16;
const CLASSES = ['red', 'green', 'blue'];

/** Placements and the cuts of the tiny model that fit them. */
export const TINY_RECIPES = {
  whole: [],
  halves: [{ partition: { at: ['relu1'] } }],
  thirds: [{ partition: { at: ['relu1', ['relu2']] } }],
};

/**
 * Writes a model of a few hundred parameters, pictures and a study into a folder, and gives the study's path.
 *
 * @param changes keys of the study to set; undefined takes one out
 */
export async function writeTinyStudy(
  folder: string,
  changes: Readonly<Record<string, unknown>> = {},
  pictures = 2,
): Promise<string> {
  await mkdir(join(folder, 'pictures'), { recursive: true });
  await writeModel(tinyModel(), join(folder, 'tiny.onnx'));
  const rows = ['file,label'];
  for (let i = 0; i < pictures; i++) {
    const label = CLASSES[i % CLASSES.length] as string;
    await writeFile(join(folder, 'pictures', `${i}.png`), await picture(i));
    rows.push(`${i}.png,${label}`);
  }
  await writeFile(join(folder, 'labels.csv'), `${rows.join('\n')}\n`);
  const path = join(folder, 'tiny.yaml');
  await writeFile(path, stringify({ ...TINY_STUDY, ...changes }, { keepUndefined: false }));
  return path;
}

const TINY_STUDY = {
  seed: 7,
  workloads: {
    tiny: {
      model: 'tiny.onnx',
      data: { loader: 'image-folder', path: 'pictures', labels: 'labels.csv' },
      preprocess: {
        kind: 'image',
        input: 'image',
        size: SIDE,
        resizeShorter: SIDE,
        scale: 255,
        mean: [0.5, 0.5, 0.5],
        std: [0.25, 0.25, 0.25],
      },
      postprocess: { kind: 'argmax', output: 'scores', classes: CLASSES },
      metric: 'top1',
    },
  },
  recipes: TINY_RECIPES,
  placements: ['mobile', 'edge', 'cloud', 'mobile-edge', 'mobile-cloud', 'edge-cloud', 'mobile-edge-cloud'],
  links: { 'mobile-edge': { rateMbps: 100, delayMs: 1 }, 'edge-cloud': { rateMbps: 100, delayMs: 2 } },
  // What is tested is not the links: a busy machine must not stop these runs.
  linkTolerance: { ms: 1000, percent: 1000 },
  sessions: ['cold', 'warm'],
  rounds: 1,
  warmupRuns: 1,
  graphOptimization: false,
};

function tinyModel() {
  const random = new Random(3);
  const g = new GraphBuilder({ name: 'tiny' });
  const weight = (name: string, shape: readonly number[]) =>
    g.weight(name, shape, () =>
      random.fork(name).fillUniform(new Float32Array(shape.reduce((n, d) => n * d, 1)), -0.5, 0.5),
    );
  const conv = (x: string, name: string, from: number, to: number) => {
    const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
    return g.node(
      'Conv',
      [x, weight(`${name}.weight`, [to, from, 3, 3]), weight(`${name}.bias`, [to])],
      attributes,
      name,
    );
  };
  const image = g.input('image', 'float32', [1, 3, SIDE, SIDE]);
  const relu1 = g.node('Relu', [conv(image, 'conv1', 3, 4)], {}, 'relu1');
  const relu2 = g.node('Relu', [conv(relu1, 'conv2', 4, 8)], {}, 'relu2');
  const flat = g.node('Flatten', [relu2], {}, 'flat');
  g.output(g.node('MatMul', [flat, weight('head', [128, CLASSES.length])], {}, 'scores'), 'float32', [
    1,
    CLASSES.length,
  ]);
  return g.build();
}

/** A PNG of one colour with noise, so that no two are alike. */
function picture(i: number): Promise<Buffer> {
  const random = new Random(100 + i);
  const pixels = new Uint8Array(SIDE * SIDE * 3);
  for (let p = 0; p < pixels.length; p++) pixels[p] = (p % 3 === i % 3 ? 150 : 30) + random.integer(60);
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .png()
    .toBuffer();
}
