import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../base/random.js';
import { GraphBuilder } from '../../../onnx/build.js';
import { trainingGraph } from '../../../onnx/grad/training-graph.js';
import { openModel } from '../../../onnx/runtime/session.js';
import { float32Tensor, float32Values } from '../../../onnx/tensor.js';
import { exitsObjective } from '../../../operators/early-exit/objective.js';
import { floatModel, workloadOf } from './support.js';

test("the loss is the model's and each exit's, added up, and what is before an exit learns of both", async (t) => {
  const work = await workloadOf(t, floatModel());
  const g = GraphBuilder.from(floatModel());
  const head = g.weight('exit.weight', [216, 3], () => new Float32Array(648));
  const scores = g.node('MatMul', [g.node('Flatten', ['b'], { axis: 1 }), head], {}, 'exit');
  g.output(scores, 'float32', [1, 3]);
  const model = g.build();
  const items = work.training.slice(0, 2).map(({ id, label }) => ({ id, label }));
  const values = new Random(1).fillUniform(new Float32Array(2 * 216));
  const lossOf = async (exits: readonly string[]) => {
    const objective = exitsObjective(work, exits, {});
    const graph = await trainingGraph(model, {
      ...{ batch: 2, weights: ['b.weight', 'c.weight', 'exit.weight'], batchNorm: 'frozen', loss: objective.loss },
    });
    const session = await openModel(graph.model, { threads: 1 });
    const weights = model.graph.initializers
      .filter(({ name }) => ['b.weight', 'c.weight', 'exit.weight'].includes(name))
      .map(({ name, dims, data }) => ({
        name,
        tensor: { dtype: 'float32', shape: dims, data: (data as { bytes: Uint8Array }).bytes } as const,
      }));
    const inputs = [{ name: 'x', tensor: float32Tensor([2, 6, 6, 6], values) }];
    const targets = await objective.feeds({ items, inputs, step: 0, epoch: 0 });
    const found = await session.run([...inputs, ...weights, ...targets], [graph.loss]);
    await session.close();
    return { loss: float32Values(found[0]?.tensor as never)[0] as number, gradients: [...graph.gradients.keys()] };
  };
  const [alone, both] = [await lossOf([]), await lossOf(['exit'])];
  // An exit whose weights are zero finds all three classes equally likely.
  assert.ok(Math.abs(both.loss - alone.loss - Math.log(3)) < 1e-5, `${both.loss}, and ${alone.loss} without`);
  assert.deepEqual(alone.gradients, ['b.weight', 'c.weight']);
  assert.deepEqual(both.gradients, ['b.weight', 'c.weight', 'exit.weight']);
});
