import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readModel } from '../../../onnx/read.js';
import { qat } from '../../../operators/qat.js';
import { applied } from '../quantise/own-workload.js';
import { toyPictures } from './toy-pictures.js';

test('training wins back what rounding cost', async (t) => {
  const { workload, folder } = await toyPictures(t);
  for (const ranges of ['moving', 'learned', 'fixed']) {
    const options = { ranges, perChannel: false, train: { epochs: 6, batch: 24, optimizer: { kind: 'adamw', rate: 0.003 } } };
    const { facts, path } = await applied(qat, options, workload, folder);
    console.log(JSON.stringify({ ranges, ...facts, training: undefined, preparation: undefined }));
  }
});
