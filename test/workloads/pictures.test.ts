import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { TierbedError } from '../../base/errors.js';
import { silent } from '../../base/progress.js';
import { Random } from '../../base/random.js';
import { float32Tensor, float32Values } from '../../onnx/tensor.js';
import { metric } from '../../workloads/metrics/index.js';
import { ahead } from '../../workloads/own/pictures/ahead.js';
import { PICTURE_CLASSES } from '../../workloads/own/pictures/classes.js';
import { orthogonalRows, stemWeights } from '../../workloads/own/pictures/filters.js';
import { encodedPicture } from '../../workloads/own/pictures/jpeg.js';
import { loadPictures } from '../../workloads/own/pictures/load.js';
import { renderPicture } from '../../workloads/own/pictures/render.js';
import { postprocess } from '../../workloads/postprocess/index.js';
import { createPreprocessor } from '../../workloads/preprocess/index.js';
import { headAccuracy, ridge } from '../../workloads/ridge.js';
import type { Workload, WorkloadItem } from '../../workloads/types.js';

/** A tenth of the real thing: enough to be well above chance. */
const SMALL = { fit: 150, tune: 30, evaluation: 40 };

async function accuracyOf(workload: Workload): Promise<number> {
  const session = await InferenceSession.create(workload.modelPath, { intraOpNumThreads: 1 });
  const preprocess = createPreprocessor(workload.preprocess);
  const accuracy = metric(workload.metric).accumulate();
  for (const item of workload.items) {
    const [input] = await preprocess(await item.read());
    assert.ok(input);
    const feeds = { [input.name]: new Tensor('float32', float32Values(input.tensor), [...input.tensor.shape]) };
    const { logits } = await session.run(feeds);
    const tensor = float32Tensor([1, 10], logits?.data as Float32Array);
    accuracy.add(postprocess(workload.postprocess, [{ name: 'logits', tensor }]), item.label);
  }
  await session.release();
  return accuracy.value() ?? 0;
}

describe('the pictures workload', () => {
  let cache: string;
  const before_ = process.env.TIERBED_CACHE;
  before(async () => {
    cache = await mkdtemp(join(tmpdir(), 'tierbed-pictures-'));
    process.env.TIERBED_CACHE = cache;
  });
  after(async () => {
    if (before_ === undefined) delete process.env.TIERBED_CACHE;
    else process.env.TIERBED_CACHE = before_;
    await rm(cache, { recursive: true, force: true });
  });

  it('is made once, answers well above chance, and says how well in the model', async () => {
    let steps = 0;
    const progress = { ...silent, update: () => steps++ };
    const workload = await loadPictures({ seed: 5, progress }, SMALL);
    assert.equal(steps, 220);
    assert.equal(workload.items.length, 40);
    assert.deepEqual(new Set(workload.items.map(({ label }) => label)).size, 10);
    const accuracy = await accuracyOf(workload);
    assert.ok(accuracy >= 0.5, `accuracy ${accuracy}`);
    const stated = /top1\.evaluation[\s\S]{0,8}?([01](?:\.\d+)?) of 40 pictures/.exec(
      (await readFile(workload.modelPath)).toString('latin1'),
    );
    assert.equal(Number(stated?.[1]), accuracy);

    const again = await loadPictures({ seed: 5, progress }, SMALL);
    assert.equal(steps, 220, 'made a second time');
    assert.deepEqual(again.modelPath, workload.modelPath);
    assert.deepEqual(await readdir(cache), [basename(dirname(workload.modelPath))], 'something was left behind');
  });

  it('is the same bytes for the same seed, and another for another', async () => {
    const tiny = { fit: 20, tune: 10, evaluation: 10 };
    const bytesOf = async (workload: Workload): Promise<Uint8Array[]> => [
      await readFile(workload.modelPath),
      ...(await Promise.all(workload.items.map((item) => item.read()))),
    ];
    const first = await loadPictures({ seed: 5 }, tiny);
    const bytes = await bytesOf(first);
    await rm(dirname(first.modelPath), { recursive: true });
    assert.deepEqual(await bytesOf(await loadPictures({ seed: 5 }, tiny)), bytes);
    const other = await bytesOf(await loadPictures({ seed: 6 }, tiny));
    assert.ok(other.every((file, i) => !Buffer.from(file).equals(bytes[i] as Uint8Array)));
  });

  it('keeps the pictures that operators read, and draws one again that is damaged or gone', async () => {
    const tiny = { fit: 20, tune: 10, evaluation: 10 };
    const { calibration, tuning, items, modelPath } = await loadPictures({ seed: 5 }, tiny);
    assert.deepEqual([calibration.length, tuning.length], [20, 10]);
    const ids = [...calibration, ...tuning, ...items].map(({ id }) => id);
    assert.equal(new Set(ids).size, 40);
    for (const id of ids) assert.ok((await stat(join(dirname(modelPath), id))).size > 10_000, id);
    const [first, second] = calibration as [WorkloadItem, WorkloadItem];
    const [kept, other] = [await first.read(), await second.read()];
    assert.ok(Buffer.from(kept).equals(await encodedPicture(5, 'fit', 0)));
    assert.ok(!Buffer.from(kept).equals(other));
    assert.equal((await sharp(kept).metadata()).format, 'jpeg');

    const file = join(dirname(modelPath), first.id);
    // Another picture in its place is noticed too.
    await writeFile(file, other);
    assert.deepEqual(new Uint8Array(await first.read()), new Uint8Array(kept));
    await rm(file);
    assert.deepEqual(new Uint8Array(await first.read()), new Uint8Array(kept));
    const again = await loadPictures({ seed: 5 }, tiny);
    assert.deepEqual(new Uint8Array((await again.calibration[0]?.read()) ?? []), new Uint8Array(kept));
    await rm(dirname(modelPath), { recursive: true });
  });

  it('is made anew when a file of it is damaged', async () => {
    const tiny = { fit: 20, tune: 10, evaluation: 10 };
    const workload = await loadPictures({ seed: 5 }, tiny);
    const whole = await readFile(workload.modelPath);
    await writeFile(workload.modelPath, whole.subarray(0, 1000));
    await loadPictures({ seed: 5 }, tiny);
    assert.deepEqual(await readFile(workload.modelPath), whole);
  });

  it('stops when told to, and leaves nothing behind', async () => {
    const stop = new AbortController();
    const progress = { ...silent, update: () => stop.abort() };
    const names = await readdir(cache);
    await assert.rejects(
      loadPictures({ seed: 99, progress, signal: stop.signal }, SMALL),
      (error) => error instanceof TierbedError && error.kind === 'cancelled',
    );
    assert.deepEqual(await readdir(cache), names);
  });

  it('says so when the cache cannot be written', async () => {
    const file = join(cache, 'a-file');
    await writeFile(file, '');
    process.env.TIERBED_CACHE = file;
    try {
      await assert.rejects(
        loadPictures({ seed: 5 }, { fit: 20, tune: 10, evaluation: 10 }),
        (error) => error instanceof TierbedError && error.kind === 'refused' && /TIERBED_CACHE/.test(error.fix ?? ''),
      );
    } finally {
      process.env.TIERBED_CACHE = cache;
      await rm(file);
    }
  });
});

describe('a picture', () => {
  it('depends on seed, part and index alone', () => {
    const first = renderPicture(3, 'fit', 12);
    renderPicture(4, 'tune', 1);
    assert.deepEqual(renderPicture(3, 'fit', 12), first);
    for (const other of [renderPicture(4, 'fit', 12), renderPicture(3, 'tune', 12), renderPicture(3, 'fit', 22)]) {
      assert.notDeepEqual(other, first);
    }
  });

  it('has the weight of a picture from a camera', async () => {
    for (let index = 0; index < 10; index++) {
      const raw = { width: 320, height: 240, channels: 3 } as const;
      const jpeg = await sharp(renderPicture(1, 'evaluation', index), { raw })
        .jpeg({ quality: 95 })
        .toBuffer();
      assert.ok(jpeg.byteLength > 15_000 && jpeg.byteLength < 60_000, `${jpeg.byteLength} bytes`);
    }
  });

  it('shows an outline that lies within its radius', () => {
    for (const { name, outline } of PICTURE_CLASSES) {
      let inside = 0;
      for (let y = -1.5; y <= 1.5; y += 0.05) {
        for (let x = -1.5; x <= 1.5; x += 0.05) {
          if (outline(x, y) <= 0) continue;
          inside++;
          assert.ok(x * x + y * y <= 1.1, `${name} at ${x}, ${y}`);
        }
      }
      assert.ok(inside > 200, `${name}: ${inside} points`);
    }
  });
});

describe('ridge regression', () => {
  it('solves the normal equations', () => {
    const random = new Random(1);
    const [n, d, classes] = [60, 5, 3];
    const features = Float32Array.from({ length: n * d }, (_, i) => random.normal(i % d, 1 + (i % d)));
    const labels = Array.from({ length: n }, () => random.integer(classes));
    const lambda = 0.2;
    const { weights, bias } = ridge({ features, classes: labels }, classes)(lambda);
    // The gradient of the mean squared error plus lambda times the squared weights of the standardised features is 0.
    for (let k = 0; k < classes; k++) {
      const residual = labels.map((label, row) => {
        let score = bias[k] as number;
        for (let j = 0; j < d; j++) score += (weights[k * d + j] as number) * (features[row * d + j] as number);
        return score - (label === k ? 1 : 0);
      });
      assert.ok(Math.abs(residual.reduce((sum, r) => sum + r, 0)) < 1e-9, 'bias');
      for (let j = 0; j < d; j++) {
        const column = labels.map((_, row) => features[row * d + j] as number);
        const mean = column.reduce((sum, v) => sum + v, 0) / n;
        const variance = column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n;
        const slope = column.reduce((sum, v, row) => sum + (v - mean) * (residual[row] as number), 0) / n;
        assert.ok(Math.abs(slope + lambda * variance * (weights[k * d + j] as number)) < 1e-9, `weight ${k}, ${j}`);
      }
    }
  });

  it('gives a feature that never changes no weight, and tells classes apart', () => {
    const features = Float32Array.from([0, 7, 1, 7, 10, 7, 11, 7]);
    const samples = { features, classes: [0, 0, 1, 1] };
    const head = ridge(samples, 2)(0.01);
    assert.equal(head.weights[1], 0);
    assert.equal(headAccuracy(head, samples), 1);
    assert.equal(headAccuracy(head, { features, classes: [1, 1, 0, 0] }), 0);
  });
});

describe('the filters', () => {
  it('of the first layer have sum 0 and length 1, and are all different', () => {
    const weights = stemWeights(7);
    assert.equal(weights.length, 32 * 147);
    const seen = new Set<string>();
    for (let f = 0; f < 32; f++) {
      const filter = weights.subarray(f * 147, (f + 1) * 147);
      assert.ok(Math.abs(filter.reduce((sum, w) => sum + w, 0)) < 1e-5);
      assert.ok(Math.abs(filter.reduce((sum, w) => sum + w * w, 0) - 1) < 1e-5);
      seen.add(filter.join());
    }
    assert.equal(seen.size, 32);
  });

  it('of the deeper layers are orthogonal in groups', () => {
    const rows = orthogonalRows(new Random(2), 12, 8, 3);
    for (let a = 0; a < 12; a++) {
      for (let b = 0; b <= a; b++) {
        let dot = 0;
        for (let i = 0; i < 8; i++) dot += (rows[a * 8 + i] as number) * (rows[b * 8 + i] as number);
        if (a === b) assert.ok(Math.abs(dot - 9) < 1e-5);
        else if (a >> 3 === b >> 3) assert.ok(Math.abs(dot) < 1e-5, `${a}, ${b}: ${dot}`);
      }
    }
  });
});

describe('work ahead', () => {
  it('comes in order, so many at a time, and fails when its turn comes', async () => {
    let underWay = 0;
    let most = 0;
    const make = async (index: number): Promise<number> => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, index % 2 ? 1 : 5));
      underWay--;
      if (index === 7) throw new Error('seven');
      return index;
    };
    const got: number[] = [];
    await assert.rejects(async () => {
      for await (const value of ahead(20, 3, make)) got.push(value);
    }, /seven/);
    assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6]);
    assert.equal(most, 3);
  });
});
