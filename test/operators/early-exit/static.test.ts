import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readModel } from '../../../onnx/read.js';
import { checkStep } from '../../../operators/check-recipe.js';
import { evaluate } from '../../../operators/evaluate.js';
import { argmax } from '../../../workloads/postprocess/argmax.js';
import {
  close,
  exited,
  floatModel,
  inputsOf,
  nearlyIdentity,
  numbers,
  outputsOf,
  qdqModel,
  workloadOf,
} from './support.js';

const opTypes = async (path: string | undefined) =>
  (await readModel(path as string)).graph.nodes.map(({ opType }) => opType);

test('a static exit is a model with the same inputs and outputs that ends at its tensor', async (t) => {
  const work = await workloadOf(t, floatModel());
  const { variant, facts } = await exited(work, { at: 'a', kind: 'static' });
  const path = variant.stages[0]?.files[0]?.path;
  assert.equal(variant.stages.length, 1);
  assert.equal(variant.stages[0]?.exit, undefined);
  const { graph } = await readModel(path as string);
  assert.deepEqual(
    [graph.inputs, graph.outputs].map((list) => list.map(({ name }) => name)),
    [['x'], ['logits']],
  );
  const types = await opTypes(path);
  assert.equal(types.filter((type) => type === 'Conv').length, 1);
  assert.equal(types.at(-1), 'Identity');
  assert.ok((facts.macsShare as number) < 0.4, `${facts.macsShare}`);
  const { value } = await evaluate(work, variant.stages, 'evaluation', { threads: 1 });
  assert.ok((value as number) > 0.5, `${value}`);
});

test('a head is fitted at the int8 tensor of a quantised model', async (t) => {
  const work = await workloadOf(t, qdqModel());
  const { variant } = await exited(work, { at: 'a', kind: 'static' });
  const path = variant.stages[0]?.files[0]?.path as string;
  assert.deepEqual((await opTypes(path)).slice(0, 2), ['QuantizeLinear', 'DequantizeLinear']);
  const { value } = await evaluate(work, variant.stages, 'evaluation', { threads: 1 });
  assert.ok((value as number) > 0.5, `${value}`);
});

test("reattached, the model's own head stands behind the tensor: the model without the layers between", async (t) => {
  const work = await workloadOf(t, floatModel(), { sizes: { calibration: 0, tuning: 0 } });
  const { variant, facts } = await exited(work, { at: 'a', kind: 'static', head: 'reattach' });
  assert.equal(facts.headFrom, 'c', 'the last tensor that the head can be taken off');
  for (const { inputs } of (await inputsOf(work, 'evaluation')).slice(0, 3)) {
    const mine = await outputsOf(variant.stages[0]?.files[0]?.path as string, inputs);
    // By hand: means of relu(conv a) times 4 on the classes' channels.
    const w = nearlyIdentity(0);
    const x = numbers(inputs[0]?.tensor);
    const byHand = [0, 1, 2].map((k) => {
      let sum = 0;
      for (let p = 0; p < 36; p++) {
        let value = 0;
        for (let c = 0; c < 6; c++) value += (w[k * 6 + c] as number) * (x[c * 36 + p] as number);
        sum += Math.max(0, value);
      }
      return (4 * sum) / 36;
    });
    assert.ok(close(numbers(mine.get('logits')), byHand), `${numbers(mine.get('logits'))} ${byHand}`);
    assert.equal(
      argmax({ kind: 'argmax', output: 'logits' }, [{ name: 'logits', tensor: mine.get('logits') as never }]),
      String(byHand.indexOf(Math.max(...byHand))),
    );
  }
});

test('where nothing behind has the shape of the tensor no head can be reattached', async (t) => {
  const work = await workloadOf(t, floatModel());
  await assert.rejects(exited(work, { at: 'means', kind: 'static', head: 'reattach' }), {
    kind: 'invalid',
    message: /no tensor behind means \[1, 6\]/,
    fix: /head: fit/,
  });
});

test('a static exit has no threshold, and refuses what says how one is found', () => {
  const check = (options: object) =>
    checkStep([{ operator: 'early-exit', options: { kind: 'static', at: 'b', ...options } }], 0, ['w']);
  for (const setting of [{ maxDrop: 2 }, { confidence: 'margin' }]) {
    const message = new RegExp(`\`${Object.keys(setting)[0]}\` says when an exit is sure enough`);
    assert.throws(() => check(setting), { kind: 'invalid', message, fix: /answers all requests/ });
  }
  check({});
});
