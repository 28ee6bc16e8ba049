import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { keepZeros } from '../../../operators/train/keep-zeros.js';
import type { StepView } from '../../../operators/train/types.js';

test('elements that are zero at the start have no gradient and stay zero; biases are free', () => {
  const g = new GraphBuilder({ name: 'layer' });
  const w = g.weight('w', [2, 2], () => Float32Array.of(0, 1, 2, 0));
  const other = g.weight('other', [2, 2], () => new Float32Array(4));
  const b = g.weight('b', [2], () => new Float32Array(2));
  const x = g.node('Gemm', [g.input('x', 'float32', ['N', 2]), w, b]);
  g.output(g.node('MatMul', [x, other], {}, 'y'), 'float32', ['N', 2]);
  const plugin = keepZeros(g.build(), ['w', 'b']);
  const arrays = (value: number) =>
    new Map([
      ['w', new Float32Array(4).fill(value)],
      ['b', new Float32Array(2).fill(value)],
    ]);
  const step = { weights: arrays(3), gradients: arrays(5) } as unknown as StepView;
  plugin.beforeUpdate?.(step);
  assert.deepEqual([...(step.gradients.get('w') ?? [])], [0, 5, 5, 0]);
  assert.deepEqual([...(step.gradients.get('b') ?? [])], [5, 5]);
  plugin.afterUpdate?.(step);
  assert.deepEqual([...(step.weights.get('w') ?? [])], [0, 3, 3, 0]);
  assert.deepEqual([...(step.weights.get('b') ?? [])], [3, 3]);
});
