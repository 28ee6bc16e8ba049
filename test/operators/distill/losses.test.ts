import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import type { Model } from '../../../onnx/model.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { denseTensor, elementCount, float32Tensor, float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import { type Lessons, lessonLoss, teacherTensors } from '../../../operators/distill/objective.js';
import { assertDifferences, type Feeds } from '../../onnx/grad/support/differences.js';

const BATCH = 3;
const CLASSES = 4;
const TOKENS = 5;

const NOTHING = { pairs: [], weight: 1 };

function lessons(some: Partial<Lessons>): Lessons {
  return {
    ...{ kind: 'classes', answer: { student: 'logits', teacher: 'its.logits' }, temperature: 1, alpha: 1 },
    ...{ hidden: NOTHING, attention: { ...NOTHING, loss: 'kl' }, mask: undefined },
    ...some,
  };
}

function normal(seed: number, shape: readonly number[]) {
  return float32Tensor(shape, new Random(seed).fillNormal(new Float32Array(elementCount(shape))));
}

/** logits = x W. */
function linear(): Model {
  const g = new GraphBuilder({ name: 'linear', opset: 18 });
  const w = g.initializer('w', normal(1, [6, CLASSES]));
  g.output(g.node('MatMul', [g.input('x', 'float32', ['N', 6]), w], {}, 'logits'), 'float32', ['N', CLASSES]);
  return g.build();
}

/** One attention of `heads` heads of two numbers over [N, T, 4]: `shares`, and `states` [N, T, 4]. */
function attending(heads: number): Model {
  const g = new GraphBuilder({ name: 'attending', opset: 18 });
  const x = g.input('x', 'float32', ['N', TOKENS, 4]);
  g.input('attention_mask', 'int64', ['N', TOKENS]);
  const w = g.initializer('w', normal(2, [4, 4]));
  const states = g.node('MatMul', [x, w], {}, 'states');
  const split = g.node('Reshape', [states, g.int64([0, 0, heads, 4 / heads])]);
  const query = g.node('Transpose', [split], { perm: [0, 2, 1, 3] });
  const key = g.node('Transpose', [split], { perm: [0, 2, 3, 1] });
  g.node('Softmax', [g.node('MatMul', [query, key], {}, 'scores')], { axis: -1 }, 'shares');
  g.output('shares', 'float32');
  g.output(states, 'float32');
  return g.build();
}

interface Step {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Runs one step, and checks its gradients against differences. */
async function stepOf(
  model: Model,
  taught: Lessons,
  shapes: ReadonlyMap<string, readonly number[]>,
  inputs: readonly NamedTensor[],
  teacher: ReadonlyMap<string, ReturnType<typeof normal>>,
  weights: readonly string[] = ['w'],
): Promise<Step> {
  const graph = await trainingGraph(model, {
    ...{ batch: BATCH, weights, batchNorm: 'frozen' },
    loss: lessonLoss(taught, shapes, undefined),
  });
  const session = await openModel(graph.model, { threads: 1 });
  const answers = teacherTensors(taught).map((name, i): NamedTensor => {
    return { name: `distill.teacher.${i}`, tensor: teacher.get(name) as ReturnType<typeof normal> };
  });
  const feeds: Feeds = Object.fromEntries(
    model.graph.initializers
      .filter(({ name }) => weights.includes(name))
      .map(({ name, dims, data }) => [name, denseTensor('float32', dims, (data as { bytes: Uint8Array }).bytes)]),
  );
  const run = async (own: Feeds) => {
    const tensors = Object.entries(own).map(([name, tensor]) => ({ name, tensor }));
    const found = await session.run([...inputs, ...answers, ...tensors]);
    return new Map(found.map(({ name, tensor }) => [name, float32Values(tensor).slice()]));
  };
  const lossOf = async (own: Feeds) => (await run(own)).get(graph.loss)?.[0] as number;
  try {
    const found = await run(feeds);
    const gradients = new Map(
      [...graph.gradients].map(([name, gradient]): [string, Float32Array] => {
        assert.ok(gradient.kind === 'dense');
        return [name, found.get(gradient.tensor) as Float32Array];
      }),
    );
    await assertDifferences(lossOf, feeds, gradients);
    return { loss: found.get(graph.loss)?.[0] as number, gradients };
  } finally {
    await session.close();
  }
}

function softmax(row: readonly number[]): number[] {
  const exponentials = row.map(Math.exp);
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** x W of the linear model, in double precision. */
function scoresOf(x: Float32Array): number[][] {
  const w = float32Values(normal(1, [6, CLASSES]));
  return Array.from({ length: BATCH }, (_, row) =>
    Array.from({ length: CLASSES }, (_, k) =>
      Array.from({ length: 6 }, (_, j) => (x[row * 6 + j] as number) * (w[j * CLASSES + k] as number)).reduce(
        (a, b) => a + b,
        0,
      ),
    ),
  );
}

const close = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) <= 1e-5 * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`);

test('the divergence is that of softened probabilities, times the temperature squared', async () => {
  const x = normal(5, [BATCH, 6]);
  const its = normal(6, [BATCH, CLASSES]);
  const own = scoresOf(float32Values(x));
  for (const temperature of [1, 4]) {
    const { loss } = await stepOf(
      linear(),
      lessons({ temperature }),
      new Map([['its.logits', [CLASSES]]]),
      [{ name: 'x', tensor: x }],
      new Map([['its.logits', its]]),
    );
    const each = own.map((row, i) => {
      const q = softmax(row.map((score) => score / temperature));
      const p = softmax([...float32Values(its).subarray(i * CLASSES, (i + 1) * CLASSES)].map((s) => s / temperature));
      return p.reduce((sum, share, k) => sum + share * Math.log(share / (q[k] as number)), 0);
    });
    close(loss, (temperature ** 2 * each.reduce((a, b) => a + b, 0)) / BATCH);
  }
});

test('a student that answers as its teacher does has no loss and no gradient', async () => {
  const x = normal(5, [BATCH, 6]);
  const its = float32Tensor([BATCH, CLASSES], Float32Array.from(scoresOf(float32Values(x)).flat()));
  const { loss, gradients } = await stepOf(
    linear(),
    lessons({ temperature: 3 }),
    new Map([['its.logits', [CLASSES]]]),
    [{ name: 'x', tensor: x }],
    new Map([['its.logits', its]]),
  );
  assert.ok(Math.abs(loss) < 1e-6);
  assert.ok(gradients.get('w')?.every((value) => Math.abs(value) < 1e-5));
});

test('numbers are compared by their squared difference', async () => {
  const x = normal(5, [BATCH, 6]);
  const its = normal(6, [BATCH, CLASSES]);
  const { loss } = await stepOf(
    linear(),
    lessons({ kind: 'numbers', alpha: 0.5 }),
    new Map([['its.logits', [CLASSES]]]),
    [{ name: 'x', tensor: x }],
    new Map([['its.logits', its]]),
  );
  const squares = scoresOf(float32Values(x))
    .flat()
    .map((value, i) => (value - (float32Values(its)[i] as number)) ** 2);
  close(loss, (0.5 * squares.reduce((a, b) => a + b, 0)) / squares.length);
});

/** The items have 5, 3 and 2 tokens that count. */
const LENGTHS = [5, 3, 2];
const mask = denseTensor(
  'int64',
  [BATCH, TOKENS],
  new Uint8Array(
    BigInt64Array.from(LENGTHS.flatMap((length) => Array.from({ length: TOKENS }, (_, t) => (t < length ? 1n : 0n))))
      .buffer,
  ),
);

async function statesOf(heads: number) {
  const inputs: NamedTensor[] = [
    { name: 'x', tensor: normal(7, [BATCH, TOKENS, 4]) },
    { name: 'attention_mask', tensor: mask },
  ];
  const session = await openModel(attending(heads), { threads: 1 });
  const found = new Map((await session.run(inputs)).map(({ name, tensor }) => [name, float32Values(tensor).slice()]));
  await session.close();
  return { inputs, states: found.get('states') as Float32Array, shares: found.get('shares') as Float32Array };
}

test('hidden states are compared where tokens count, behind a projection where widths differ', async () => {
  const { inputs, states } = await statesOf(2);
  for (const width of [4, 7]) {
    const its = normal(8, [BATCH, TOKENS, width]);
    const matrix = normal(9, [4, width]);
    const projection = { name: 'p', dims: [4, width], to: width, values: float32Values(matrix) };
    const g = GraphBuilder.from(attending(2));
    g.initializer('p', matrix);
    const hidden = {
      pairs: [{ student: 'states', teacher: 'its', projection: width === 4 ? undefined : projection }],
      weight: 2,
    };
    const { loss, gradients } = await stepOf(
      g.build(),
      lessons({ alpha: 0, answer: { student: 'states', teacher: 'its' }, hidden, mask: 'attention_mask' }),
      new Map([['its', [TOKENS, width]]]),
      inputs,
      new Map([['its', its]]),
      width === 4 ? ['w'] : ['w', 'p'],
    );
    assert.equal(gradients.size, width === 4 ? 1 : 2);
    let sum = 0;
    for (let row = 0; row < BATCH * TOKENS; row++) {
      if (row % TOKENS >= (LENGTHS[Math.floor(row / TOKENS)] as number)) continue;
      for (let k = 0; k < width; k++) {
        let own = width === 4 ? (states[row * 4 + k] as number) : 0;
        for (let j = 0; j < 4 && width !== 4; j++) {
          own += (states[row * 4 + j] as number) * (float32Values(matrix)[j * width + k] as number);
        }
        sum += (own - (float32Values(its)[row * width + k] as number)) ** 2;
      }
    }
    close(loss, (2 * sum) / (10 * width));
  }
});

test('maps are compared behind a projection of their channels', async () => {
  const g = new GraphBuilder({ name: 'map', opset: 18 });
  const w = g.initializer('w', normal(1, [2, 3, 1, 1]));
  const x = g.input('x', 'float32', ['N', 3, 4, 4]);
  g.output(g.node('Conv', [x, w], { kernel_shape: [1, 1] }, 'map'), 'float32');
  g.initializer('p', normal(2, [5, 2, 1, 1]));
  const projection = { name: 'p', dims: [5, 2, 1, 1], to: 5, values: new Float32Array(10) };
  const { gradients } = await stepOf(
    g.build(),
    lessons({
      alpha: 0,
      answer: { student: 'map', teacher: 'its' },
      hidden: { pairs: [{ student: 'map', teacher: 'its', projection }], weight: 1 },
    }),
    new Map([['its', [5, 4, 4]]]),
    [{ name: 'x', tensor: normal(3, [BATCH, 3, 4, 4]) }],
    new Map([['its', normal(4, [BATCH, 5, 4, 4])]]),
    ['w', 'p'],
  );
  assert.deepEqual([...gradients.keys()], ['w', 'p']);
});

/** Random attention of so many heads: rows that sum to 1. */
function attention(seed: number, heads: number) {
  const scores = float32Values(normal(seed, [BATCH, heads, TOKENS, TOKENS]));
  const rows = Array.from({ length: scores.length / TOKENS }, (_, row) =>
    softmax([...scores.subarray(row * TOKENS, (row + 1) * TOKENS)]),
  );
  return float32Tensor([BATCH, heads, TOKENS, TOKENS], Float32Array.from(rows.flat()));
}

test('attention is compared where tokens count; where heads differ, by the mean of the heads', async () => {
  const { inputs, shares } = await statesOf(2);
  for (const heads of [2, 1, 4]) {
    const its = attention(12, heads);
    for (const loss of ['kl', 'mse'] as const) {
      for (const scores of ['scores', undefined]) {
        const pairs = [{ student: 'shares', teacher: 'its', scores, heads: { student: 2, teacher: heads } }];
        const found = await stepOf(
          attending(2),
          lessons({
            ...{ alpha: 0, answer: { student: 'shares', teacher: 'its' }, mask: 'attention_mask' },
            attention: { pairs, weight: 1, loss },
          }),
          new Map([['its', [heads, TOKENS, TOKENS]]]),
          inputs,
          new Map([['its', its]]),
        );
        const merged = heads !== 2;
        const compared = merged ? 1 : 2;
        const at = (
          all: Float32Array,
          count: number,
          item: number,
          head: number,
          token: number,
          key: number,
        ): number => {
          const one = (h: number) => all[((item * count + h) * TOKENS + token) * TOKENS + key] as number;
          return merged
            ? Array.from({ length: count }, (_, h) => one(h)).reduce((a, b) => a + b, 0) / count
            : one(head);
        };
        let sum = 0;
        for (const [item, length] of LENGTHS.entries()) {
          for (let head = 0; head < compared; head++) {
            for (let token = 0; token < length; token++) {
              for (let key = 0; key < TOKENS; key++) {
                const [q, p] = [
                  at(shares, 2, item, head, token, key),
                  at(float32Values(its), heads, item, head, token, key),
                ];
                sum += loss === 'kl' ? p * Math.log(p / q) : (p - q) ** 2 / TOKENS;
              }
            }
          }
        }
        close(found.loss, sum / (10 * compared));
      }
    }
  }
});
