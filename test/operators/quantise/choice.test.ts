import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphBuilder } from '../../../onnx/build.js';
import { inferValues } from '../../../onnx/infer.js';
import type { Model } from '../../../onnx/model.js';
import { type Choice, checkChoice } from '../../../operators/quantise/graph/choice.js';
import { NODE_TYPES } from '../../../operators/quantise/graph/node-types.js';
import { type Plan, planQuantisation } from '../../../operators/quantise/graph/plan.js';
import { View } from '../../../operators/quantise/graph/view.js';
import { smallCnn, smallTransformer, weights } from './small-graphs.js';

async function plan(model: Model, choice: Choice = {}, activations: 'uint8' | 'int8' = 'uint8'): Promise<Plan> {
  const view = new View(model, await inferValues(model));
  checkChoice(choice, view, NODE_TYPES);
  return planQuantisation(view, choice, activations);
}

const names = ({ nodes }: Plan): string[] => [...nodes.values()].map(({ node }) => node.name).sort();
const left = ({ left: nodes }: Plan): string[] => nodes.map(({ name }) => name).sort();

test('all of a CNN is int8; Relu and Clip are absorbed; the last Gemm gives float', async () => {
  const whole = await plan(smallCnn());
  assert.deepEqual(left(whole), []);
  const absorbed = [...whole.nodes.values()].filter(({ form }) => form === 'absorbed').map(({ node }) => node.name);
  assert.deepEqual(absorbed, ['stem.relu', 'dw.clip', 'sum.relu', 'left.relu']);
  const float = [...whole.nodes.values()].filter(({ int8Output }) => !int8Output).map(({ node }) => node.name);
  assert.deepEqual(float, ['head']);
});

test('of a transformer the products and the table are int8, and what lies between them float', async () => {
  const { nodes, left: others } = await plan(smallTransformer());
  const products = ['q', 'k', 'v', 'scores', 'mixed', 'attend', 'up', 'down', 'classes'];
  const passed = ['joined', 'rows'];
  assert.deepEqual(
    [...nodes.values()].map(({ node }) => node.name).sort(),
    ['embedding', ...passed, ...products].sort(),
  );
  assert.ok(others.some(({ name, reason }) => name === 'gelu.erf' && /no int8 form/.test(reason)));
  assert.ok(others.some(({ name, reason }) => name === 'residual1' && /not between int8/.test(reason)));
});

test('types and nodes can be chosen and excluded, and what is left says why', async () => {
  const model = smallCnn();
  const without = await plan(model, { excludeTypes: ['Add'], excludeNodes: ['dw'] });
  assert.ok(!names(without).includes('sum') && !names(without).includes('dw'));
  const reason = (name: string) => without.left.find((entry) => entry.name === name)?.reason;
  assert.match(reason('sum') ?? '', /excludeTypes/);
  assert.match(reason('dw') ?? '', /excludeNodes/);
  // What the float depthwise convolution feeds cannot absorb its Clip.
  assert.match(reason('dw.clip') ?? '', /not between/);
  assert.deepEqual(names(await plan(model, { nodeTypes: ['Gemm'] })), ['head']);
  assert.deepEqual(names(await plan(model, { nodes: ['stem', 'head'] })), ['head', 'stem']);
});

test('a type or a node that does not exist is refused by its name', async () => {
  await assert.rejects(plan(smallCnn(), { nodeTypes: ['Convv'] }), {
    kind: 'invalid',
    message: /'Convv'/,
    fix: /Conv/,
  });
  await assert.rejects(plan(smallCnn(), { excludeNodes: ['stem2'] }), { kind: 'invalid', message: /'stem2'/ });
});

test('an unknown operator, weights made at run time and weights that are not finite stay float, and are named', async () => {
  const g = new GraphBuilder({ name: 'odd' });
  const x = g.input('x', 'float32', [1, 4]);
  const w = g.input('w', 'float32', [4, 4]);
  const broken = g.weight('broken', [4, 4], () => new Float32Array(16).fill(Number.NaN));
  const a = g.node('Gemm', [x, w], {}, 'dynamic');
  const b = g.node('MatMul', [a, broken], {}, 'nan');
  const c = g.node('Mish', [b], {}, 'odd');
  g.output(g.node('MatMul', [c, weights(g, 'good', [4, 4])], {}, 'fine'), 'float32', [1, 4]);
  const made = await plan({ ...g.build(), opsetImport: [{ domain: '', version: 18 }] });
  assert.deepEqual(names(made), ['fine']);
  const reasons = Object.fromEntries(made.left.map(({ name, reason }) => [name, reason]));
  assert.match(reasons.dynamic ?? '', /run time/);
  assert.match(reasons.nan ?? '', /not finite/);
  assert.match(reasons.odd ?? '', /no int8 form/);
});

test('a Relu over a symmetric range is kept, as a kernel of its own', async () => {
  const forms = [...(await plan(smallCnn(), {}, 'int8')).nodes.values()].map(({ node, form }) => [node.name, form]);
  assert.deepEqual(
    forms.filter(([, form]) => form === 'floor').map(([name]) => name),
    ['stem.relu', 'dw.clip', 'sum.relu', 'left.relu'],
  );
});

test('integers and booleans are never quantised', async () => {
  const g = new GraphBuilder({ name: 'integers' });
  const x = g.input('x', 'float32', [1, 2, 4, 4]);
  const y = g.node('Conv', [x, weights(g, 'w', [2, 2, 1, 1])], {}, 'conv');
  const shape = g.node('Concat', [g.node('Shape', [y], {}, 'shape'), g.int64([1])], { axis: 0 }, 'longer');
  const scaled = g.node('Mul', [shape, g.int64([1])], {}, 'scaled');
  g.output(g.node('Reshape', [y, scaled], {}, 'reshaped'), 'float32', [1, 2, 4, 4, 1]);
  const made = await plan(g.build());
  assert.deepEqual(names(made), ['conv', 'reshaped']);
  assert.deepEqual(left(made), []);
});
