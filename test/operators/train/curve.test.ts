import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { curveCsv, writePlot } from '../../../operators/train/curve-files.js';
import { train } from '../../../operators/train/train.js';
import type { TrainPlugin } from '../../../operators/train/types.js';
import { newFolder, pointWorkload, toyRequest, weightsOf } from './toy.js';

const POINT = { epoch: 1, steps: 3, learningRate: 0.1, loss: 2, tuning: null, seconds: 1.5 };

test('a curve is a table, a list and a picture', async () => {
  const folder = await newFolder();
  const workload = pointWorkload();
  const { curve } = await train(
    await toyRequest(workload, crossEntropy(workload), { epochs: 3, batch: 32 }, { folder }),
  );
  assert.deepEqual((await readdir(folder)).sort(), ['checkpoint.bin', 'curve.csv', 'curve.json', 'curve.svg']);
  assert.deepEqual(JSON.parse(await readFile(join(folder, 'curve.json'), 'utf8')), curve);
  assert.equal(await readFile(join(folder, 'curve.csv'), 'utf8'), curveCsv(curve));
  assert.match(curveCsv(curve), /^epoch,steps,learningRate,loss,tuning,seconds\n1,3,/);
  const svg = await readFile(join(folder, 'curve.svg'), 'utf8');
  assert.match(svg, /^<svg .*mean loss.*top-1 accuracy \(tuning\)/s);
  assert.deepEqual(
    curve.map(({ epoch, steps }) => [epoch, steps]),
    [
      [1, 3],
      [2, 6],
      [3, 9],
    ],
  );
});

test('without a tuning part the picture has the loss alone', async () => {
  const folder = await newFolder();
  await writePlot(folder, [POINT, { ...POINT, epoch: 2, loss: 1 }], 'top-1 accuracy');
  assert.doesNotMatch(await readFile(join(folder, 'curve.svg'), 'utf8'), /tuning/);
  assert.equal(curveCsv([POINT]).split('\n')[1], '1,3,0.1,2,,1.5');
});

/** Overwrites the last layer's weights behind an epoch's last step, so that the metric is as that epoch's number says. */
function spoils(from: number): TrainPlugin {
  return {
    name: 'spoils',
    afterUpdate({ epoch, weights }) {
      if (epoch >= from) weights.get('second.weight')?.fill(0);
    },
  };
}

test('training stops when the metric has not risen for so many epochs, and keeps the best weights', async () => {
  const workload = pointWorkload();
  const settings = { epochs: 30, batch: 16, patience: 3, optimizer: { kind: 'adamw', rate: 0.02 } } as const;
  const objective = crossEntropy(workload);
  const early = await train(await toyRequest(workload, objective, settings, { plugins: [spoils(4)] }));
  const values = early.curve.map(({ tuning }) => tuning as number);
  const best = values.indexOf(Math.max(...values));
  assert.ok(best < 4, String(values));
  assert.equal(early.curve.length, best + 4);
  assert.deepEqual(early.facts.best, { epoch: early.curve[best]?.epoch, tuning: values[best] });
  assert.ok(
    weightsOf(early.model)
      .get('second.weight')
      ?.every((value) => value !== 0),
  );
});
