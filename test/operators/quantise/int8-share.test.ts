import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeTime } from '../../../onnx/runtime/profile.js';
import { int8Share, precisionOf, shareOf } from '../../../operators/quantise/int8-share.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';

function node(kernel: string, ms: number, from = 'float', to = 'float'): NodeTime {
  const tensor = (type: string) => [{ type, shape: [1, 4] }];
  return {
    ...{ name: `${kernel}-${ms}`, kernel, provider: 'CPUExecutionProvider', ms, waitMs: 0 },
    ...{ reads: tensor(from), writes: tensor(to), node: undefined },
  };
}

test('kernels are told apart by their names and by their types', () => {
  assert.equal(precisionOf(node('QLinearConv', 1, 'uint8', 'uint8')), 'int8');
  assert.equal(precisionOf(node('com.microsoft:QGemm', 1, 'uint8', 'float')), 'int8');
  assert.equal(precisionOf(node('com.microsoft:DynamicQuantizeMatMul', 1)), 'int8');
  assert.equal(precisionOf(node('MaxPool', 1, 'uint8', 'uint8')), 'int8');
  assert.equal(precisionOf(node('MaxPool', 1)), 'float');
  assert.equal(precisionOf(node('QuantizeLinear', 1, 'float', 'uint8')), 'conversion');
  assert.equal(precisionOf(node('com.microsoft:DequantizeLinear', 1, 'int8', 'float')), 'conversion');
  assert.equal(precisionOf(node('com.microsoft.nchwc:Conv', 1)), 'float');
});

test('the share is that of time, not of nodes', () => {
  const share = shareOf([
    node('QLinearConv', 6, 'uint8', 'uint8'),
    node('QuantizeLinear', 1, 'float', 'uint8'),
    node('Softmax', 1),
    node('Softmax', 2),
  ]);
  assert.deepEqual([share.share, share.int8Ms, share.conversionMs, share.floatMs], [0.6, 6, 1, 3]);
  assert.deepEqual(share.byKernel, [
    { kernel: 'QLinearConv', nodes: 1, ms: 6, precision: 'int8' },
    { kernel: 'Softmax', nodes: 2, ms: 3, precision: 'float' },
    { kernel: 'QuantizeLinear', nodes: 1, ms: 1, precision: 'conversion' },
  ]);
  assert.equal(shareOf([]).share, 0);
});

test('a quantised model computes in int8, a float one does not', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  const path = (name: string) => sharedModels(data).find((model) => model.name === name)?.path as string;
  const int8 = await int8Share(path('mobilenetv2_torchvision_int8_qdq'), undefined, { threads: 1, runs: 3 });
  assert.ok(int8.share > 0.8, `${int8.share}`);
  assert.ok(int8.byKernel.some(({ kernel }) => kernel.endsWith('QLinearConv')));
  const float = await int8Share(path('resnet20_cifar10'), undefined, { threads: 1, runs: 3 });
  assert.deepEqual([float.share, float.conversionMs], [0, 0]);
});
