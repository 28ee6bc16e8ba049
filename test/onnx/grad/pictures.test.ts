import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { type AttributeInput, float } from '../../../onnx/build.js';
import { type Feed, list, type OneNode } from '../../support/one-node.js';
import { checkNode, uniform } from './support/check-gradient.js';
import { testTorchCases } from './support/torch-cases.js';

testTorchCases('pictures.json.gz');

const random = new Random(9);
const scales = (...value: number[]): Feed => ({ dtype: 'float32', shape: [value.length], value, constant: true });

/** Ways to resample that PyTorch does not have, or has otherwise. */
const RESAMPLED: Readonly<Record<string, Readonly<Record<string, AttributeInput>>>> = {
  'nearest, half up': { mode: 'nearest', nearest_mode: 'round_prefer_ceil' },
  'nearest, half down, symmetric': { mode: 'nearest', coordinate_transformation_mode: 'half_pixel_symmetric' },
  'nearest, ceil, corners': { mode: 'nearest', nearest_mode: 'ceil', coordinate_transformation_mode: 'align_corners' },
  'linear, smoothed': { mode: 'linear', antialias: 1 },
  'cubic, nothing from outside': { mode: 'cubic', cubic_coeff_a: float(-0.5), exclude_outside: 1 },
};

for (const [name, attributes] of Object.entries(RESAMPLED)) {
  test(`Resize ${name}: gradients by differences`, async () => {
    const inputs = [uniform(random, [1, 2, 5, 6]), undefined];
    await checkNode({ op: 'Resize', opset: 19, inputs: [...inputs, scales(1, 1, 1.7, 0.6)], attributes });
    await checkNode({ op: 'Resize', opset: 19, inputs: [...inputs, undefined, list([1, 2, 3, 8])], attributes });
  });
}

test('Pad: the gradient by its value is that of the border', async () => {
  const value: Feed = { dtype: 'float32', shape: [], value: [0.5] };
  await checkNode({ op: 'Pad', inputs: [uniform(random, [2, 3]), list([1, 0, 0, 2]), value] });
});

test('Resize and Pad in forms that are not differentiated say so', async () => {
  const picture = uniform(random, [1, 1, 4, 4]);
  const value: Feed = { dtype: 'float32', shape: [], value: [0.5] };
  const refused: readonly (readonly [OneNode, RegExp])[] = [
    [
      {
        op: 'Resize',
        opset: 19,
        inputs: [picture, undefined, undefined, list([1, 1, 6, 8])],
        attributes: { keep_aspect_ratio_policy: 'not_larger' },
      },
      /node \(Resize\) cannot be differentiated: its sizes are bounds/,
    ],
    [
      {
        op: 'Resize',
        opset: 19,
        inputs: [picture, scales(0, 0, 0, 0, 1, 1, 1, 1), undefined, list([1, 1, 6, 8])],
        attributes: { coordinate_transformation_mode: 'tf_crop_and_resize' },
      },
      /resamples a region/,
    ],
    [{ op: 'Pad', inputs: [uniform(random, [3]), list([1, -1]), value] }, /its value is trained, and it crops/],
  ];
  for (const [node, message] of refused) {
    await assert.rejects(checkNode(node, { differences: false }), { kind: 'invalid', message });
  }
});
