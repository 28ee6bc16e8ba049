import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { train } from '../../../operators/train/train.js';
import type { TrainRequest, TrainSettings } from '../../../operators/train/types.js';
import type { Workload } from '../../../workloads/types.js';
import { tensorItem } from '../../support/tensor-workload.js';
import { newFolder, points, pointWorkload, toyRequest } from './toy.js';

async function trained(
  settings: TrainSettings,
  more: Partial<TrainRequest> = {},
  parts: Partial<Workload> = {},
): Promise<unknown> {
  const workload = pointWorkload(parts);
  const objective = crossEntropy(workload);
  return train(await toyRequest(workload, objective, { epochs: 20, batch: 16, ...settings }, more));
}

/** x [N, 2] -> Gemm -> an operator by name -> Gemm -> scores [N, 3]; with a mask that is minus infinity beside it. */
function through(opType: string, bias: number): Model {
  const g = new GraphBuilder({ name: 'through', opset: 18 });
  const weight = (name: string, shape: readonly number[], value: number): string =>
    g.weight(name, shape, () => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value));
  const x = g.input('x', 'float32', ['N', 2]);
  const inner = g.node('Gemm', [x, weight('a', [2, 4], 0.1), weight('b', [4], bias)], {}, 'inner');
  const odd = g.node(opType, [inner], {}, 'odd');
  const ones = g.node('Cast', [g.int64([1, 1, 1, 0])], { to: 1 });
  const masked = g.node('Softmax', [g.node('Add', [odd, g.node('Log', [ones], {}, 'mask')])], {});
  g.output(g.node('Gemm', [masked, weight('c', [4, 3], 0.1), weight('d', [3], 0)], {}, 'scores'), 'float32', ['N', 3]);
  return g.build();
}

test('the node is named that first makes infinity of finite numbers, not a mask', async () => {
  await assert.rejects(trained({}, { model: through('Exp', 200) }), {
    kind: 'invalid',
    message:
      /stops at step 1 \(epoch 1\): the loss is NaN; the learning rate is 0.001; first not finite: odd of the node odd \(Exp\), in the forward pass/,
  });
});

test('a gradient that is not finite stops training too, in the backward pass', async () => {
  // The root of 0 is 0, and its slope is infinite.
  const model = through('Sqrt', 0);
  const zeros = points(32, 1, 'a').map(({ id, label }) => ({ ...tensorItem(id, [0, 0]), label }));
  await assert.rejects(trained({}, { model }, { training: zeros }), {
    kind: 'invalid',
    message: /the gradients' norm (NaN|Infinity); .* in the backward pass/,
  });
});

test('a weight that the step before left not finite is named', async () => {
  const request = {
    plugins: [
      {
        name: 'breaks',
        afterUpdate: ({ step, weights }: { step: number; weights: ReadonlyMap<string, Float32Array> }) => {
          if (step === 3) (weights.get('second.weight') as Float32Array)[4] = Number.NaN;
        },
      },
    ],
  };
  await assert.rejects(trained({}, request), {
    kind: 'invalid',
    message: /stops at step 5 \(epoch 1\): .*first not finite: the weight second.weight/,
  });
});

test('an item that is not finite is named', async () => {
  const training = [...points(15, 1, 'a'), { ...tensorItem('bad', [Number.NaN, 1]), label: '0' }];
  await assert.rejects(trained({}, {}, { training }), { kind: 'invalid', message: /the input x/, fix: /bad/ });
});

/** A plugin that puts a number into an array behind the last step of the first epoch. */
function breaksLast(array: string, value: number): Partial<TrainRequest> {
  const afterUpdate = ({ step, weights }: { step: number; weights: ReadonlyMap<string, Float32Array> }): void => {
    if (step === 5) (weights.get(array) as Float32Array).fill(value);
  };
  return { plugins: [{ name: 'breaks', afterUpdate }] };
}

test('what is not finite at the end of an epoch is named, though no loss was', async () => {
  const at = String.raw`training stops behind step 6 \(epoch 1\): `;
  const fix = /Lower the rate/;
  await assert.rejects(trained({}, breaksLast('second.bias', Number.POSITIVE_INFINITY), { tuning: [] }), {
    ...{ kind: 'invalid', fix },
    message: new RegExp(`${at}second.bias is not finite any more; the learning rate is 0\\.00`),
  });
  // Finite weights whose sums are not, of either sign: what the scores are is not known.
  await assert.rejects(trained({}, breaksLast('first.weight', 3e38), { tuning: points(9, 2, 'b').map(far) }), {
    ...{ kind: 'invalid', fix },
    message: new RegExp(`${at}on the tuning part, argmax: output 'scores' is NaN`),
  });
});

/** An item far from all others. */
function far({ id, label }: { readonly id: string; readonly label: string }) {
  return { ...tensorItem(id, [1e9, 1e9]), label };
}

test('a training that diverges is stopped, with its loss and rate, and leaves nothing', async () => {
  const optimizer = { kind: 'sgd', rate: 30, momentum: 0.9 } as const;
  const folder = join(await newFolder(), 'training');
  const diverging = trained({ optimizer }, { folder, checkpointSeconds: 0 });
  await assert.rejects(diverging, {
    kind: 'invalid',
    message:
      /training diverges: at step \d+ \(epoch \d+\) the loss is \S+, and it was \S+ at first; the learning rate is \d+/,
  });
  await assert.rejects(readdir(folder), { code: 'ENOENT' });
});
