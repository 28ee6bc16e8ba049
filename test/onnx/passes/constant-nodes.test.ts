import assert from 'node:assert/strict';
import test from 'node:test';
import { type AttributeInput, float, floats, GraphBuilder } from '../../../onnx/build.js';
import { encodeModel } from '../../../onnx/encode.js';
import type { Model } from '../../../onnx/model.js';
import { constantNodes } from '../../../onnx/passes/constant-nodes.js';
import { decodeModel } from '../../../onnx/read.js';
import { float32Tensor } from '../../../onnx/tensor.js';
import { runModel } from '../../support/run-model.js';

/** Every way in which a Constant node may hold what it gives. */
const FORMS: Readonly<Record<string, AttributeInput>> = {
  value: float32Tensor([1, 2], Float32Array.of(1, 2)),
  value_float: float(3),
  value_floats: floats([4, 5]),
  value_int: 6n,
  value_ints: [7n, 8n],
  value_string: 'nine',
  value_strings: ['ten', 'eleven'],
};

test('a Constant node of each form becomes the weight that it gave', async () => {
  const g = new GraphBuilder({ name: 'g' });
  for (const [form, value] of Object.entries(FORMS)) {
    const constant = g.node('Constant', [], { [form]: value }, form);
    g.output(g.node('Identity', [constant], {}, `${form}_out`), form.includes('string') ? 'string' : 'float32');
  }
  const built = g.build();
  const outputs = built.graph.outputs.map((info) => ({ ...info, type: { kind: 'undefined' } as const }));
  const model: Model = { ...built, graph: { ...built.graph, outputs } };
  const after = (await constantNodes.run(model)) as Model;
  decodeModel(encodeModel(after));
  assert.deepEqual(
    after.graph.initializers.map(({ name }) => name),
    Object.keys(FORMS),
  );
  assert.equal(after.graph.nodes.length, outputs.length);
  const plain = async (m: Model) => {
    const results = Object.values(await runModel(m, {}));
    return results.map(({ type, dims, data }) => ({ type, dims, data: [...(data as Iterable<unknown>)] }));
  };
  assert.deepEqual(await plain(after), await plain(model));
});

test('a Constant node that makes an output of its graph stays', async () => {
  const g = new GraphBuilder({ name: 'g' });
  g.output(g.node('Constant', [], { value_float: float(1) }, 'out'), 'float32');
  const model = g.build();
  assert.equal(await constantNodes.run(model), model);
});
