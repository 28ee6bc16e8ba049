import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { itemValues } from '../../../onnx/inspect.js';
import type { Dim, Model } from '../../../onnx/model.js';
import type { DType } from '../../../onnx/tensor.js';
import { checkStudent, type Shaped, tableRows } from '../../../operators/distill/match.js';
import { refuseAugmented } from '../../../operators/distill/plan.js';
import { renamedValues } from '../../../operators/distill/rename.js';
import { scoresOf } from '../../../operators/distill/scores.js';
import { attentionPairs, hiddenPairs } from '../../../operators/distill/terms.js';

interface Shape {
  readonly input?: string;
  readonly dtype?: DType;
  readonly side?: Dim;
  readonly output?: string;
  readonly classes?: number;
  readonly channels?: number;
}

/** Pictures [N, 3, side, side] to scores [N, classes], by way of `layer.0` and `layer.1` of so many channels. */
function network({
  input = 'x',
  dtype = 'float32',
  side = 8,
  output = 'y',
  classes = 4,
  channels = 6,
}: Shape = {}): Model {
  const g = new GraphBuilder({ name: 'network', opset: 18 });
  const given = g.input(input, dtype, ['N', 3, side, side]);
  let x = dtype === 'float32' ? given : g.node('Cast', [given], { to: 1 });
  for (const [i, from] of [3, channels].entries()) {
    const w = g.weight(`layer.${i}.weight`, [channels, from, 1, 1], () => new Float32Array(channels * from));
    x = g.node('Conv', [x, w], { kernel_shape: [1, 1] }, `layer.${i}`);
  }
  const means = g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 });
  const head = g.weight('head', [channels, classes], () => new Float32Array(channels * classes));
  const scores = g.node('MatMul', [means, head], {}, 'scores');
  g.output(g.node('Softmax', [scores], { axis: -1 }, output), 'float32', ['N', classes]);
  return g.build();
}

const shaped = async (model: Model): Promise<Shaped> => ({ model, values: await itemValues(model, {}) });

test('a student that cannot take its place is refused with what differs and what to do', async () => {
  const teacher = await shaped(network());
  const refused = async (shape: Shape, message: RegExp, fix: RegExp) =>
    assert.throws(checkStudent.bind(undefined, 'small', await shaped(network(shape)), teacher, 'y'), (error) => {
      const { kind, message: text, fix: advice } = error as { kind: string; message: string; fix: string };
      assert.equal(kind, 'invalid');
      assert.match(text, /the student small does not fit the teacher/);
      assert.match(text, message);
      assert.match(advice, fix);
      return true;
    });
  await refused(
    { classes: 5 },
    /'y' is float32 \[1, 5\] for one item, and the teacher's is float32 \[1, 4\]/,
    /4 classes/,
  );
  await refused({ output: 'logits' }, /no output 'y'.*it has logits/, /'y'/);
  await refused({ input: 'image' }, /takes the input 'image'/, /inputs: x/);
  await refused(
    { side: 16 },
    /'x' is float32 \[N, 3, 16, 16\], and the teacher's is float32 \[N, 3, 8, 8\]/,
    /imageSize/,
  );
  await refused({ dtype: 'uint8' }, /'x' is uint8/, /same size/);
  checkStudent('small', await shaped(network({ channels: 2 })), teacher, 'y');
  checkStudent('small', await shaped(network({ side: 'S' })), teacher, 'y');
});

/** Ids [N, 3] to rows of a table. */
function lookup(rows: number): Model {
  const g = new GraphBuilder({ name: 'lookup', opset: 18 });
  const table = g.weight('table', [rows, 4], () => new Float32Array(rows * 4));
  const picked = g.node('Gather', [table, g.input('input_ids', 'int64', ['N', 3])]);
  g.output(g.node('ReduceMean', [picked, g.int64([1])], { keepdims: 0 }, 'y'), 'float32', ['N', 4]);
  return g.build();
}

test("a table must have a row for each of the teacher's ids", async () => {
  const [small, large] = [await shaped(lookup(10)), await shaped(lookup(20))];
  assert.throws(() => checkStudent('small', small, large, 'y'), {
    message: /table has 10 rows for 'input_ids', and the teacher's 20/,
    fix: /vocabulary/,
  });
  checkStudent('large', large, small, 'y');
  assert.deepEqual(tableRows(large.model).get('input_ids'), { table: 'table', rows: 20 });
});

test('scores are what goes into the Softmax at the end', () => {
  assert.equal(scoresOf(network(), 'y'), 'scores');
  assert.equal(scoresOf(lookup(3), 'y'), 'y');
});

test('renamed tensors keep the model whole, whatever was called so before', async () => {
  const renamed = renamedValues(
    network({ input: 'input', output: 'logits' }),
    new Map([
      ['input', 'scores'],
      ['logits', 'y'],
    ]),
  );
  const { graph } = renamed;
  assert.deepEqual([graph.inputs[0]?.name, graph.outputs[0]?.name], ['scores', 'y']);
  assert.equal(graph.nodes.find(({ opType }) => opType === 'Softmax')?.inputs[0], 'scores_2');
  assert.equal(graph.nodes.find(({ opType }) => opType === 'MatMul')?.outputs[0], 'scores_2');
  checkStudent('renamed', await shaped(renamed), await shaped(renamed), 'y');
});

test('hidden tensors are paired by their layers, with a projection where widths differ', async () => {
  const [student, teacher] = [await shaped(network({ channels: 2 })), await shaped(network())];
  const pairs = hiddenPairs({ at: 'layers' }, student, teacher, 1);
  assert.deepEqual(
    pairs.map((pair) => [pair.student, pair.teacher, pair.projection?.dims, pair.projection?.to]),
    [
      ['layer.0', 'layer.0', [6, 2, 1, 1], 6],
      ['layer.1', 'layer.1', [6, 2, 1, 1], 6],
    ],
  );
  assert.deepEqual(hiddenPairs({ at: ['layer.1'] }, teacher, teacher, 1)[0]?.projection, undefined);
  const named = { teacher: 'layer.1', student: 'layer.0' };
  assert.equal(hiddenPairs({ at: [named] }, student, teacher, 1)[0]?.teacher, 'layer.1');
  const [a, b] = [1, 2].map((seed) => hiddenPairs({ at: ['layer.0'] }, student, teacher, seed)[0]?.projection?.values);
  assert.notDeepEqual(a, b);
});

test('tensors that are not there, or cannot be compared, are refused', async () => {
  const [student, teacher] = [await shaped(network({ channels: 2 })), await shaped(network())];
  const wrong = { kind: 'invalid' };
  assert.throws(() => hiddenPairs({ at: ['layer'] }, student, teacher, 1), {
    ...wrong,
    message: /no tensor 'layer'/,
    fix: /layer\.0/,
  });
  const apart = { student: 'scores', teacher: 'layer.1' };
  assert.throws(() => hiddenPairs({ at: [apart] }, student, teacher, 1), {
    message: /student's scores \[1, 4\] cannot be compared with the teacher's layer\.1 \[1, 6, 8, 8\]/,
  });
  assert.throws(() => attentionPairs({ at: ['scores'] }, student, teacher), {
    message: /scores \[1, 4\] cannot be compared/,
  });
  assert.throws(() => attentionPairs({ at: 'layers' }, student, teacher), {
    message: /no attention: a Softmax of \[N, heads, T, T\]/,
    fix: /Name the tensors/,
  });
});

test('a picture that was moved is not compared inside with one that was not', () => {
  const hidden = { at: 'layers' } as const;
  const train = { augment: [{ kind: 'flip' }] } as const;
  assert.throws(() => refuseAugmented({ hidden }, train), { kind: 'invalid', fix: /teacherSees: batch/ });
  refuseAugmented({ hidden, teacherSees: 'batch' }, train);
  refuseAugmented({}, train);
  refuseAugmented({ hidden }, { augment: [{ kind: 'noise', deviation: 1 }] });
});
