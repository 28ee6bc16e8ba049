import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { inOrder } from '../../../onnx/grad/order.js';

test('nodes that nothing follows go to the end, the first of them last', () => {
  const g = new GraphBuilder({ name: 'order' });
  const x = g.input('x', 'float32', [1]);
  const a = g.node('Neg', [x], {}, 'a');
  const first = g.node('Abs', [a], {}, 'first');
  const b = g.node('Neg', [a], {}, 'b');
  const second = g.node('Abs', [b], {}, 'second');
  for (const name of [first, second]) g.output(name, 'float32');
  const { nodes } = inOrder(g.build()).graph;
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ['a', 'b', 'second', 'first'],
  );
});
