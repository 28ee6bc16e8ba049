import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import type { OneNode } from '../../support/one-node.js';
import { oneNodeModel } from '../../support/one-node.js';
import { backwardOf } from './support/backward.js';
import { checkNode, spaced, uniform } from './support/check-gradient.js';
import { testTorchCases } from './support/torch-cases.js';

testTorchCases('pooling.json.gz');

const random = new Random(4);

test('MaxPool that numbers its places by columns: gradients by differences', async () => {
  const node: OneNode = {
    op: 'MaxPool',
    inputs: [spaced(random, [2, 2, 5, 6])],
    attributes: { kernel_shape: [3, 2], strides: [2, 1], storage_order: 1 },
  };
  await checkNode(node);
  await checkNode({ ...node, outputs: 2 });
});

test('MaxPool of windows that are padded, or overlap where it hardly shows: gradients by differences', async () => {
  const attributes = { kernel_shape: [2, 3], strides: [2, 3], pads: [1, 1, 0, 1] };
  await checkNode({ op: 'MaxPool', inputs: [spaced(random, [2, 2, 8, 6])], attributes });
  // Two windows of 3 cells, as long together as the 6 that there are.
  await checkNode({
    op: 'MaxPool',
    inputs: [spaced(random, [3, 4, 6])],
    attributes: { kernel_shape: [3], strides: [2] },
  });
  // Windows whose cells lie in turns, and meet.
  await checkNode({
    op: 'MaxPool',
    inputs: [spaced(random, [3, 4, 9])],
    attributes: { kernel_shape: [2], strides: [2], dilations: [2] },
  });
});

test('MaxPool gives its places itself, and is not run twice', async () => {
  const inputs = [spaced(random, [1, 1, 4, 4])];
  const node: OneNode = { op: 'MaxPool', opset: 18, inputs, attributes: { kernel_shape: [2, 2] } };
  const pools = (await backwardOf(oneNodeModel(node), ['in0'])).model.graph.nodes.filter(
    ({ opType }) => opType === 'MaxPool',
  );
  assert.equal(pools.length, 1);
  assert.equal(pools[0]?.outputs.length, 2);
  const given = (await backwardOf(oneNodeModel({ ...node, outputs: 2 }), ['in0'])).model.graph.nodes[0];
  assert.deepEqual(given?.outputs, ['out0', 'out1']);
});

test('AveragePool, dilated: gradients by differences', async () => {
  await checkNode({
    op: 'AveragePool',
    opset: 19,
    inputs: [uniform(random, [1, 2, 8, 7])],
    attributes: { kernel_shape: [3, 2], strides: [2, 1], dilations: [2, 3], pads: [1, 0, 2, 1], count_include_pad: 1 },
  });
  await checkNode({
    op: 'AveragePool',
    opset: 19,
    inputs: [uniform(random, [1, 2, 8, 7])],
    attributes: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: 'SAME_UPPER' },
  });
});
