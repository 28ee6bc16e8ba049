import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from '../../../base/progress.js';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { float32Values } from '../../../onnx/tensor.js';
import { calibrate } from '../../../operators/quantise/calibrate.js';
import { gatherHistograms } from '../../../operators/quantise/gather/histograms.js';
import { decodeItemFile } from '../../../workloads/item-file.js';
import type { Workload } from '../../../workloads/types.js';
import { tensorItem, tensorWorkload } from '../../support/tensor-workload.js';

const TENSORS = ['x', 'w', 'hidden', 'relu', 'mean', 'y'];

/** x [N, 4] -> hidden -> relu -> y, with a scalar at the side. */
function network(opset: number): Model {
  const g = new GraphBuilder({ name: 'network', opset });
  const w = g.weight('w', [4, 8], () => new Random(1).fillUniform(new Float32Array(32), -1, 1));
  const hidden = g.node('MatMul', [g.input('x', 'float32', ['N', 4]), w], {}, 'hidden');
  const relu = g.node('Relu', [hidden], {}, 'relu');
  const mean = g.node('ReduceMean', [relu], { keepdims: 0 }, 'mean');
  g.output(g.node('Sub', [relu, mean], {}, 'y'), 'float32', ['N', 8]);
  return g.build();
}

const random = new Random(3);
const ITEMS = Array.from({ length: 20 }, (_, i) =>
  tensorItem(`item-${i}`, random.fillNormal(new Float32Array(4), 0, 1 + i)),
);

/** One node from x to y. */
function oneNode(opType: string): Model {
  const g = new GraphBuilder({ name: 'one' });
  const made = g.node(opType, [g.input('x', 'float32', ['N', 2])], {}, 'made');
  g.output(g.node('Relu', [made], {}, 'y'), 'float32', ['N', 2]);
  return g.build();
}

test('minmax: the least and the greatest value of each tensor over all items, in any opset', async () => {
  for (const opset of [8, 13, 17, 18, 21]) {
    const model = network(opset);
    const { ranges, facts } = await calibrate(model, TENSORS, tensorWorkload({ calibration: ITEMS }), {
      method: 'minmax',
    });
    assert.deepEqual([...ranges.keys()], TENSORS);
    assert.equal(facts.items, ITEMS.length);
    assert.equal(facts.tensors, TENSORS.length);
    for (const [name, values] of await valuesOf(model)) {
      const { min, max } = ranges.get(name) as { min: number; max: number };
      const [least, greatest] = [Math.min(...values), Math.max(...values)];
      assert.ok(Math.abs(min - least) <= 1e-6 * Math.abs(least), `${name} from ${min}, not ${least}`);
      assert.ok(Math.abs(max - greatest) <= 1e-6 * Math.abs(greatest), `${name} to ${max}, not ${greatest}`);
    }
  }
});

/** All values of each tensor, by running the model with the tensors as outputs. */
async function valuesOf(model: Model): Promise<Map<string, number[]>> {
  const found = new Map(TENSORS.map((name) => [name, [] as number[]]));
  const g = GraphBuilder.from({ ...model, graph: { ...model.graph, outputs: [] } });
  for (const name of TENSORS) g.output(name, 'float32');
  const session = await openModel(g.build(), { graphOptimization: false });
  for (const item of ITEMS) {
    for (const { name, tensor } of await session.run(decodeItemFile(await item.read()))) {
      found.get(name)?.push(...float32Values(tensor));
    }
  }
  await session.close();
  return found;
}

test('histograms gather the same in several passes as in one, and from every tensor', async () => {
  const workload = tensorWorkload({ calibration: ITEMS });
  const labels: string[] = [];
  const progress: Progress = { start: (label) => labels.push(label), update() {}, stop() {} };
  const pass = { workload, threads: 1, progress, signal: undefined };
  const model = network(17);
  const once = await gatherHistograms(model, TENSORS, pass);
  assert.equal(labels.length, 1);
  const often = await gatherHistograms(model, TENSORS, pass, 40);
  assert.ok(labels.length > 3, labels.join());
  assert.deepEqual([...often.histograms], [...once.histograms]);
  for (const [name, values] of await valuesOf(model)) {
    const { counts, range } = once.histograms.get(name) ?? assert.fail(name);
    assert.equal(
      counts.reduce((a, b) => a + b, 0),
      values.length,
    );
    assert.ok(Math.abs(range.max - Math.max(...values)) < 1e-5);
  }
});

test('every method gives ranges within those of minmax', async () => {
  const workload = tensorWorkload({ calibration: ITEMS });
  const { ranges: widest } = await calibrate(network(17), TENSORS, workload, { method: 'minmax' });
  for (const method of ['percentile', 'entropy', 'mse']) {
    const { ranges } = await calibrate(network(17), TENSORS, workload, { method });
    for (const [name, { min, max }] of ranges) {
      const wide = widest.get(name) ?? assert.fail(name);
      assert.ok(
        wide.min <= min + 1e-5 && min < max && max <= wide.max + 1e-5,
        `${method} of ${name}: ${min} to ${max}`,
      );
    }
    assert.equal(ranges.get('relu')?.min, 0);
  }
});

test('items are drawn from all of the part, the same each time', async () => {
  const read: string[] = [];
  const calibration = ITEMS.map((item) => ({
    ...item,
    read: () => {
      read.push(item.id);
      return item.read();
    },
  }));
  const run = () => calibrate(network(17), ['y'], tensorWorkload({ calibration }), { method: 'minmax', items: 5 });
  const { facts } = await run();
  assert.equal(facts.items, 5);
  const first = read.splice(0);
  assert.equal(new Set(first).size, 5);
  assert.notDeepEqual(
    first,
    ITEMS.slice(0, 5).map(({ id }) => id),
  );
  await run();
  assert.deepEqual(read, first);
});

test('NaN and infinite activations are refused, naming tensor and item', async () => {
  const bad: [string, Model, number[]][] = [
    ['NaN', oneNode('Sqrt'), [1, -1]],
    ['infinite', oneNode('Reciprocal'), [0, 1]],
    ['infinite', oneNode('Log'), [0, 1]],
  ];
  for (const [, model, values] of bad) {
    const calibration = [tensorItem('good', [1, 2]), tensorItem('bad', values), tensorItem('after', [1, 2])];
    for (const method of ['minmax', 'percentile']) {
      await assert.rejects(calibrate(model, ['x', 'made'], tensorWorkload({ calibration }), { method }), {
        kind: 'invalid',
        message: /'made'.*'bad'/,
        fix: /excludeNodes/,
      });
    }
  }
});

test('one NaN among many numbers is seen', async () => {
  const g = new GraphBuilder({ name: 'many' });
  g.output(g.node('Sqrt', [g.input('x', 'float32', ['N', 1000])], {}, 'y'), 'float32', ['N', 1000]);
  for (const at of [0, 1, 500, 998, 999]) {
    const calibration = [tensorItem('only', new Float32Array(1000).fill(4).fill(-1, at, at + 1))];
    for (const method of ['minmax', 'mse']) {
      await assert.rejects(calibrate(g.build(), ['y'], tensorWorkload({ calibration }), { method }), {
        message: /'y'.*'only'/,
      });
    }
  }
});

test('large numbers whose sum is infinite are fine, and a range that float32 cannot say is not', async () => {
  const large = tensorWorkload({ calibration: [tensorItem('a', [3e38, 3e38])] });
  const wide = tensorWorkload({ calibration: [tensorItem('a', [3e38, -3e38])] });
  for (const method of ['minmax', 'entropy']) {
    const { ranges } = await calibrate(oneNode('Relu'), ['made'], large, { method });
    assert.equal(ranges.get('made')?.max, Math.fround(3e38));
    await assert.rejects(calibrate(oneNode('Relu'), ['x'], wide, { method: 'minmax' }), {
      kind: 'invalid',
      message: /'x'.*wider/,
    });
  }
});

test('items of the wrong shape are refused, naming the item and what the model takes', async () => {
  const calibration = [tensorItem('good', [1, 2]), tensorItem('long', [1, 2, 3])];
  for (const method of ['minmax', 'mse']) {
    await assert.rejects(calibrate(oneNode('Relu'), ['made'], tensorWorkload({ calibration }), { method }), {
      kind: 'invalid',
      message: /'long'.*\[N, 2\].*\[1, 3\]/,
      fix: /preprocessing/,
    });
  }
});

test('no items, and items of which none can be read, are refused; unreadable ones among others are named', async () => {
  const unreadable = { id: 'broken', label: '', read: async () => new Uint8Array(3) };
  const run = (workload: Workload, method: string) => calibrate(oneNode('Relu'), ['made'], workload, { method });
  for (const method of ['minmax', 'percentile']) {
    await assert.rejects(run(tensorWorkload({}), method), { kind: 'missing', message: /'small'/, fix: /split/ });
    await assert.rejects(run(tensorWorkload({ calibration: [unreadable, unreadable] }), method), {
      kind: 'invalid',
      message: /none of the 2 .*broken: not an item file/,
    });
    const { facts } = await run(tensorWorkload({ calibration: [unreadable, tensorItem('good', [1, 2])] }), method);
    assert.equal(facts.items, 1);
    assert.deepEqual(
      facts.unreadable.map(({ id }) => id),
      ['broken'],
    );
  }
});

test('a constant tensor is no error, and is named', async () => {
  const calibration = [tensorItem('a', [-3, -4]), tensorItem('b', [-1, -2])];
  for (const method of ['minmax', 'percentile', 'entropy', 'mse']) {
    const { ranges, facts } = await calibrate(oneNode('Relu'), ['x', 'made'], tensorWorkload({ calibration }), {
      method,
    });
    assert.deepEqual(ranges.get('made'), { min: 0, max: 0 });
    assert.deepEqual(facts.constant, ['made']);
  }
});

test('items of one class alone are a warning, unless there is no other class', async () => {
  const labelled = (label: string, i: number) => ({ ...tensorItem(`${label}-${i}`, [i, 1]), label });
  const cats = [0, 1, 2].map((i) => labelled('cat', i));
  const warnings = async (parts: Partial<Workload>) =>
    (await calibrate(oneNode('Relu'), ['made'], tensorWorkload(parts), { method: 'minmax' })).facts.warnings;
  assert.match((await warnings({ calibration: cats, items: [labelled('dog', 1)] }))[0] ?? '', /one class, 'cat'/);
  assert.deepEqual(await warnings({ calibration: [...cats, labelled('dog', 1)], items: [labelled('dog', 1)] }), []);
  assert.deepEqual(await warnings({ calibration: cats, items: [labelled('cat', 9)] }), []);
  assert.deepEqual(await warnings({ calibration: ITEMS.map((_, i) => tensorItem(`${i}`, [i, 1])) }), []);
});

test('tensors that are not there or are no floats, and options that make no sense, are refused', async () => {
  const g = new GraphBuilder({ name: 'shape' });
  g.output(g.node('Shape', [g.input('x', 'float32', ['N', 2])], {}, 'sizes'), 'int64');
  const workload = tensorWorkload({ calibration: [tensorItem('a', [1, 2])] });
  const run = (tensor: string, options: Parameters<typeof calibrate>[3]) =>
    calibrate(g.build(), [tensor], workload, options);
  await assert.rejects(run('nowhere', { method: 'minmax' }), { kind: 'invalid', message: /'nowhere'/ });
  await assert.rejects(run('sizes', { method: 'minmax' }), { kind: 'invalid', message: /'sizes' is int64/ });
  await assert.rejects(run('x', { method: 'median' }), { kind: 'invalid', message: /'median'/ });
  await assert.rejects(run('x', { method: 'minmax', items: 0 }), { kind: 'invalid', message: /0 items/ });
  for (const percentile of [0, 101, Number.NaN]) {
    await assert.rejects(run('x', { method: 'percentile', options: { percentile } }), { kind: 'invalid' });
  }
  const { ranges, facts } = await calibrate(g.build(), [], workload, { method: 'minmax' });
  assert.equal(ranges.size, 0);
  assert.equal(facts.items, 0);
});

test('it says how far it is, and stops when it is told to', async () => {
  for (const method of ['minmax', 'mse']) {
    const said: (string | number | undefined)[] = [];
    const abort = new AbortController();
    const progress: Progress = {
      start: (label, total) => said.push(label, total),
      update: (done) => {
        said.push(done);
        if (done === 3) abort.abort();
      },
      stop: () => said.push('stopped'),
    };
    const workload = tensorWorkload({ calibration: ITEMS });
    await assert.rejects(calibrate(network(17), ['y'], workload, { method, progress, signal: abort.signal }), {
      kind: 'cancelled',
    });
    assert.deepEqual(said, ['calibrating on small', ITEMS.length, 1, 2, 3, 'stopped']);
  }
});
