import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pruningGroups } from '../../../operators/prune/groups.js';
import type { PruneMethod } from '../../../operators/prune/method.js';
import { parsePattern } from '../../../operators/prune/pattern.js';
import { prunePlugin } from '../../../operators/prune/plugin.js';
import { Structured } from '../../../operators/prune/structured.js';
import { Unstructured } from '../../../operators/prune/unstructured.js';
import { layerWeights } from '../../../operators/prune/weights.js';
import { crossEntropy } from '../../../operators/train/cross-entropy.js';
import { train } from '../../../operators/train/train.js';
import type { TrainPlugin } from '../../../operators/train/types.js';
import { mlp, newFolder, pointWorkload, toyRequest, weightsOf } from '../train/toy.js';

const SETTINGS = { epochs: 4, batch: 16, optimizer: { kind: 'adam', rate: 0.02 } } as const;
const MODEL = mlp(1, 16);

const METHODS: Readonly<Record<string, () => Promise<PruneMethod>>> = {
  'snip-momentum': async () =>
    new Unstructured(layerWeights(MODEL), {
      ...{ score: 'snip-momentum', pattern: parsePattern('2x1'), scope: 'global', mostOfLayer: 0.98 },
    }),
  taylor: async () => {
    const { groups } = await pruningGroups(MODEL);
    const weights = new Map(MODEL.graph.initializers.map(({ name, dims }) => [name, { dims, bnScale: false }]));
    return new Structured(groups, weights, { score: 'taylor', scope: 'layer', atLeast: 1, multipleOf: 1 });
  },
};

/** Trains with pruning, watched, and cut off behind a step where it says so. */
async function run(method: PruneMethod, folder: string, stopAt?: number, seen: number[] = []) {
  const workload = pointWorkload();
  const controller = new AbortController();
  const watch: TrainPlugin = {
    name: 'watch',
    afterUpdate({ step, weights }) {
      const zeros = [...weights.values()].flatMap((values) => [...values]).filter((value) => value === 0).length;
      seen.push(zeros);
      if (step === stopAt) controller.abort();
    },
  };
  return train(
    await toyRequest(workload, crossEntropy(workload), SETTINGS, {
      ...{ model: MODEL, folder, signal: controller.signal, checkpointSeconds: 0 },
      plugins: [prunePlugin(method, { every: 2 }, 0.5, 'test'), watch],
    }),
  );
}

for (const [name, make] of Object.entries(METHODS)) {
  test(`${name}: more and more goes, and stays zero behind every step`, async () => {
    const seen: number[] = [];
    const { model } = await run(await make(), await newFolder(), undefined, seen);
    assert.equal(seen.length, 24);
    assert.ok(
      seen.every((zeros, i) => i === 0 || zeros >= (seen[i - 1] as number)),
      `${seen}`,
    );
    assert.ok((seen[2] as number) < (seen[23] as number));
    const zeros = [...weightsOf(model).values()].flatMap((values) => [...values]).filter((value) => value === 0);
    assert.equal(zeros.length, seen[23]);
  });

  test(`${name}: cut off and gone on, it makes the same weights bit for bit`, async () => {
    const whole = await run(await make(), await newFolder());
    for (const stopAt of [1, 9]) {
      const folder = await newFolder();
      await assert.rejects(run(await make(), folder, stopAt), { kind: 'cancelled' });
      const again = await run(await make(), folder);
      assert.deepEqual(weightsOf(again.model), weightsOf(whole.model));
    }
  });
}
