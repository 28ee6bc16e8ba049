import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { initializerBytes } from '../../../onnx/initializer.js';
import type { Model } from '../../../onnx/model.js';
import { fromTeacher } from '../../../operators/distill/init.js';
import { layerCounts, numbered, spreadLayer, uniformLayer } from '../../../operators/distill/layers.js';

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test('a name has the number of its layer between dots, or at its end', () => {
  assert.deepEqual(numbered('bert.encoder.layer.3.output.dense.weight'), {
    ...{ before: 'bert.encoder.layer.', layer: 3, behind: '.output.dense.weight' },
  });
  assert.deepEqual(numbered('layer2.10.conv1.weight'), { before: 'layer2.', layer: 10, behind: '.conv1.weight' });
  assert.deepEqual(numbered('layer1.0'), { before: 'layer1.', layer: 0, behind: '' });
  assert.equal(numbered('conv1.weight'), undefined);
  assert.deepEqual(
    [...layerCounts(['layer1.0.a', 'layer1.4.a', 'layer2.1.a', 'fc.weight'])],
    [
      ['layer1.', 5],
      ['layer2.', 2],
    ],
  );
});

test('a student begins as layers spread over the teacher, and answers like the last of those it stands for', () => {
  assert.deepEqual(
    range(6).map((layer) => spreadLayer(layer, 6, 12)),
    [0, 2, 4, 7, 9, 11],
  );
  assert.deepEqual(
    range(4).map((layer) => uniformLayer(layer, 4, 12)),
    [2, 5, 8, 11],
  );
  for (const map of [spreadLayer, uniformLayer]) {
    assert.deepEqual(
      range(5).map((layer) => map(layer, 5, 5)),
      range(5),
    );
  }
  assert.equal(spreadLayer(0, 1, 9), 0);
  assert.equal(uniformLayer(0, 1, 9), 8);
  assert.equal(uniformLayer(0, 3, 1), 0);
});

/** Layers of one matrix each, of one width but for those given another, and a head. */
function stack(layers: number, value: (layer: number) => number, widths: Readonly<Record<number, number>> = {}): Model {
  const g = new GraphBuilder({ name: 'stack' });
  let x = g.input('x', 'float32', ['N', 3]);
  const filled = (n: number, of: number) => () => new Float32Array(n).fill(of);
  for (let i = 0; i < layers; i++) {
    const width = widths[i] ?? 3;
    const into = g.weight(`layer.${i}.in`, [3, width], filled(3 * width, value(i)));
    x = g.node('MatMul', [x, into], {}, `layer.${i}.wide`);
    x = g.node('MatMul', [x, g.weight(`layer.${i}.out`, [width, 3], filled(3 * width, value(i)))], {}, `layer.${i}`);
  }
  const scale = g.weight('scale', [1], filled(1, value(99)));
  x = g.node('Mul', [g.node('MatMul', [x, g.weight('head', [3, 2], filled(6, value(50)))]), scale], {}, 'y');
  g.output(x, 'float32', ['N', 2]);
  return g.build();
}

const first = (model: Model, name: string): number | undefined => {
  const found = model.graph.initializers.find((each) => each.name === name);
  return found && new Float32Array(Uint8Array.from(initializerBytes(found)).buffer)[0];
};

test("the teacher's weights are taken where names and shapes fit, layer by layer", () => {
  const teacher = stack(6, (layer) => layer + 1);
  const { model, taken, of, layers } = fromTeacher(
    stack(3, () => -1, { 1: 5 }),
    teacher,
  );
  assert.deepEqual(
    ['layer.0.in', 'layer.0.out', 'layer.1.in', 'layer.1.out', 'layer.2.in', 'head', 'scale'].map((name) =>
      first(model, name),
    ),
    // Layer 1 is of another width; the scale is one number.
    [1, 1, -1, -1, 6, 51, -1],
  );
  assert.deepEqual([taken, of], [5, 7]);
  assert.deepEqual(layers['layer.'], [0, null, 5]);
  assert.equal(first(teacher, 'layer.0.in'), 1);
});
