import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { defaultObjective } from '../../../operators/train/default-objective.js';
import { meanSquaredError } from '../../../operators/train/mean-squared-error.js';
import { CHECKPOINT_FILE, train } from '../../../operators/train/train.js';
import type { TrainRequest, TrainSettings } from '../../../operators/train/types.js';
import type { Workload } from '../../../workloads/types.js';
import { tensorItem } from '../../support/tensor-workload.js';
import { newFolder, numberWorkload, points, pointWorkload, toyRequest } from './toy.js';

const QUICK: TrainSettings = { epochs: 1, batch: 16 };

/** What training says of points. */
async function trained(
  parts: Partial<Workload> = {},
  settings: TrainSettings = {},
  more: Partial<TrainRequest> = {},
): Promise<unknown> {
  const workload = pointWorkload(parts);
  return train(await toyRequest(workload, crossEntropy(workload), { ...QUICK, ...settings }, more));
}

const labelled = (label: string): Partial<Workload> => {
  return { training: points(48, 1, 'a').map((item, i) => (i === 20 ? { ...item, label } : item)) };
};

test('labels that are no class are refused, by their item', async () => {
  await assert.rejects(trained(labelled('3')), {
    kind: 'invalid',
    message: /item a20 is of class 3 .*'scores' has 3 scores/,
  });
  await assert.rejects(trained(labelled('cat')), { kind: 'invalid', message: /item a20 has the label 'cat'/ });
  await assert.rejects(trained(labelled('')), { kind: 'invalid', message: /item a20 has no label/ });
  const postprocess = { kind: 'argmax', output: 'scores', classes: ['0', '1'] } as const;
  await assert.rejects(trained({ postprocess }), {
    kind: 'invalid',
    message: /item a2 has the label '2', which is none of the 2 classes/,
  });
});

test('labels of a regression that are no numbers, or too many, are refused', async () => {
  const workload = numberWorkload();
  const [first, ...rest] = workload.training;
  const relabelled = (label: string): Workload => ({ ...workload, training: [{ ...first, label } as never, ...rest] });
  assert.throws(() => meanSquaredError(relabelled('1 x 0')), {
    kind: 'invalid',
    message: /item a0 has the label '1 x 0'/,
  });
  const two = relabelled('1 0');
  await assert.rejects(train(await toyRequest(two, meanSquaredError(two), QUICK)), {
    kind: 'invalid',
    message: /item a0 has a label of 2 numbers, and 'scores' gives 3/,
  });
});

test('an objective that is not that of the workload is refused', () => {
  assert.throws(() => crossEntropy(numberWorkload()), { kind: 'invalid', message: /needs a classification/ });
  assert.throws(() => meanSquaredError(pointWorkload()), { kind: 'invalid', message: /compares numbers/ });
});

test('a batch larger than the data is refused, and a workload without a training part', async () => {
  await assert.rejects(trained({}, { batch: 97 }), {
    kind: 'invalid',
    message: /batch is 97, and points has 96 training items/,
  });
  await assert.rejects(trained({ training: [] }), { kind: 'invalid', message: /no training part/ });
  const broken = points(20, 1, 'a').map((item, i) =>
    i < 10 ? item : { ...item, read: async () => new Uint8Array(3) },
  );
  await assert.rejects(trained({ training: broken }), {
    kind: 'invalid',
    message: /10 training items that can be read/,
  });
});

test('nothing to train is refused', async () => {
  await assert.rejects(trained({}, { freeze: ['*'] }), {
    kind: 'invalid',
    message: /nothing to train: `freeze` names every weight/,
  });
  await assert.rejects(trained({}, { freeze: ['frist.*'] }), {
    kind: 'invalid',
    message: /no weight is called 'frist\.\*'/,
  });
  await assert.rejects(trained({}, {}, { model: withoutWeights() }), {
    kind: 'invalid',
    message: /no float32 weights/,
  });
});

test('patience without a tuning part is refused', async () => {
  await assert.rejects(trained({ tuning: [] }, { patience: 2 }), {
    kind: 'invalid',
    message: /patience looks at the tuning part/,
  });
});

test('items of another shape are refused, by their name', async () => {
  const training = [...points(40, 1, 'a'), { ...tensorItem('long', [1, 2, 3]), label: '0' }];
  await assert.rejects(trained({ training }, { batch: 41 }), {
    kind: 'invalid',
    message: /item long: input x must be float32 \[1, 2\]/,
  });
});

test('numbers that make no sense are refused', async () => {
  await assert.rejects(trained({}, { epochs: 0 }), { kind: 'invalid', message: /epochs is 0/ });
  await assert.rejects(trained({}, { optimizer: { kind: 'sgd', rate: 0 } }), {
    kind: 'invalid',
    message: /learning rate is 0/,
  });
  await assert.rejects(trained({}, { clipNorm: -1 }), { kind: 'invalid', message: /clipNorm is -1/ });
});

test('settings that would have no effect beside the others are refused', async () => {
  assert.throws(() => defaultObjective(numberWorkload(), { labelSmoothing: 0.1 }), {
    ...{ kind: 'invalid', message: /labelSmoothing spreads the targets of classes/, fix: /Leave `labelSmoothing` out/ },
  });
  assert.equal(defaultObjective(numberWorkload(), { labelSmoothing: 0 }).name, 'mse');
  assert.equal(defaultObjective(pointWorkload(), { labelSmoothing: 0.1 }).name, 'cross-entropy');
  await assert.rejects(trained({}, { optimizer: { kind: 'sgd', noDecay: ['first.*'] } }), {
    ...{
      kind: 'invalid',
      message: /noDecay names weights that do not decay, and weightDecay is 0/,
      fix: /weightDecay/,
    },
  });
  await assert.rejects(trained({}, { dims: { length: 8 } }), {
    ...{ kind: 'invalid', message: /dims has a number for 'length'/, fix: /The shapes have: N/ },
  });
});

test('a full disk stops training with an error that names the checkpoint', async () => {
  const folder = await newFolder();
  const path = join(folder, CHECKPOINT_FILE);
  await symlink('/dev/full', `${path}.${process.pid}.part`);
  await assert.rejects(trained({}, {}, { folder, checkpointSeconds: 0 }), (error: Error) => {
    assert.equal((error as Error & { kind: string }).kind, 'exhausted');
    assert.ok(error.message.includes(path), error.message);
    return true;
  });
});

/** x [N, 2] -> scores [N, 3], by constants alone. */
function withoutWeights(): Model {
  const g = new GraphBuilder({ name: 'fixed', opset: 18 });
  const x = g.input('x', 'float32', ['N', 2]);
  const sum = g.node('ReduceSum', [x, g.int64([1])], { keepdims: 1 });
  g.output(g.node('Concat', [sum, x], { axis: 1 }, 'scores'), 'float32', ['N', 3]);
  return g.build();
}
