import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { emitBatchNormalization } from '../../../onnx/grad/batch-statistics.js';
import type { Model, Node } from '../../../onnx/model.js';
import { type OneNode, oneNodeModel, real } from '../../support/one-node.js';
import { checkGradient, tensorsOf } from './support/check-gradient.js';
import { testTorchCases } from './support/torch-cases.js';

/** A BatchNormalization in its training form. */
function inTrainingForm(node: OneNode): Model {
  const model = oneNodeModel(node);
  const builder = GraphBuilder.from({ ...model, graph: { ...model.graph, nodes: [] } });
  emitBatchNormalization(builder, model.graph.nodes[0] as Node, node.inputs[0]?.shape ?? []);
  return builder.build();
}

testTorchCases('batch-statistics.json.gz', () => ({}), inTrainingForm);

test('statistics that are trained, and are not those of the batch, are refused', async () => {
  const inputs = [real([3, 2]), real([2]), real([2]), real([2]), real([2])];
  const node: OneNode = { op: 'BatchNormalization', opset: 18, inputs };
  await assert.rejects(checkGradient(oneNodeModel(node), tensorsOf(node)), {
    kind: 'invalid',
    message: /node \(BatchNormalization\) cannot be differentiated: its statistics are trained/,
  });
});

test('a batch of one element has no variance', () => {
  const inputs = [real([1, 2, 1]), real([2]), real([2]), real([2]), real([2])];
  assert.throws(() => inTrainingForm({ op: 'BatchNormalization', opset: 18, inputs }), {
    kind: 'invalid',
    message: /node: a batch of one element has no variance/,
  });
});
