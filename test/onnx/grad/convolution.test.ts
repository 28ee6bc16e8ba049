import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { checkNode, uniform } from './support/check-gradient.js';

test('Conv: gradients by differences', async () => {
  const random = new Random(3);
  await checkNode({
    op: 'Conv',
    inputs: [uniform(random, [2, 4, 7, 6]), uniform(random, [6, 2, 3, 2]), uniform(random, [6])],
    attributes: { group: 2, strides: [2, 3], pads: [1, 0, 2, 1] },
  });
});
