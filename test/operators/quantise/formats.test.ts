import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../../base/random.js';
import type { Model } from '../../../onnx/model.js';
import { readModel } from '../../../onnx/read.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { denseTensor, float32Tensor, float32Values, type NamedTensor } from '../../../onnx/tensor.js';
import type { ActivationType } from '../../../operators/quantise/graph/activations.js';
import { writeQdq } from '../../../operators/quantise/graph/qdq.js';
import { writeQOperator } from '../../../operators/quantise/graph/qoperator.js';
import { planned } from './measure.js';
import { smallCnn, smallTransformer } from './small-graphs.js';

const pictures = Array.from({ length: 6 }, (_, i): NamedTensor[] => [
  { name: 'x', tensor: float32Tensor([1, 3, 16, 16], new Random(i).fillUniform(new Float32Array(768), -1, 1)) },
]);
const texts = Array.from({ length: 6 }, (_, i): NamedTensor[] => {
  const random = new Random(i);
  const ids = BigInt64Array.from({ length: 6 }, () => BigInt(random.integer(64)));
  return [{ name: 'ids', tensor: denseTensor('int64', [1, 6], new Uint8Array(ids.buffer)) }];
});

async function outputs(
  model: Model,
  items: readonly NamedTensor[][],
  graphOptimization: boolean,
): Promise<Float32Array[]> {
  const session = await openModel(model, { threads: 1, graphOptimization });
  const results: Float32Array[] = [];
  for (const item of items) results.push(float32Values((await session.run(item))[0]?.tensor as never).slice());
  await session.close();
  return results;
}

/** How many nodes of each type there are after the runtime's optimisation. */
async function kernels(t: TestContext, model: Model): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-kernels-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'optimised.onnx');
  await (await openModel(model, { optimizedPath: path, threads: 1 })).close();
  const counts: Record<string, number> = {};
  for (const { opType } of (await readModel(path)).graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1;
  return counts;
}

/** Noise of `b` against `a`, as a share of what `a` varies. */
function noise(a: Float32Array[], b: Float32Array[]): number {
  let [signal, error] = [0, 0];
  a.forEach((x, i) => {
    x.forEach((value, j) => {
      signal += value ** 2;
      error += (value - (b[i]?.[j] as number)) ** 2;
    });
  });
  return Math.sqrt(error / signal);
}

const OPTIONS = [
  { perChannel: true, reduceRange: false },
  { perChannel: false, reduceRange: false },
  { perChannel: true, reduceRange: true },
];

for (const [name, build, items] of [
  ['a CNN', smallCnn, pictures],
  ['a transformer', smallTransformer, texts],
] as const) {
  for (const activations of ['uint8', 'int8'] as const satisfies ActivationType[]) {
    test(`${name} in ${activations}: QDQ as written, QDQ as fused and QOperator agree, near the float model`, async () => {
      const model = build();
      const { plan, ranges } = await planned(model, items, activations);
      const float = await outputs(model, items, false);
      for (const options of OPTIONS) {
        const qdq = writeQdq(plan, ranges, options);
        const literal = await outputs(qdq, items, false);
        const fused = await outputs(qdq, items, true);
        const operators = await outputs(writeQOperator(plan, ranges, options), items, true);
        const [a, b, c] = [noise(float, literal), noise(literal, fused), noise(literal, operators)];
        console.log(name, activations, options, a, b, c);
        assert.ok(a < 0.1, `${a}`);
        assert.ok(b < 0.02, `${b}`);
        assert.ok(c < 0.02, `${c}`);
      }
    });
  }
}

test('what is there', async (t) => {
  for (const [build, items] of [
    [smallCnn, pictures],
    [smallTransformer, texts],
  ] as const) {
    for (const activations of ['uint8', 'int8'] as const) {
      const { plan, ranges } = await planned(build(), items, activations);
      console.log(plan.left.map(({ name, type, reason }) => `${name} ${type} ${reason}`).join('\n'));
      const options = { perChannel: true, reduceRange: false };
      console.log(
        activations,
        await kernels(t, writeQdq(plan, ranges, options)),
        await kernels(t, writeQOperator(plan, ranges, options)),
      );
    }
  }
});
