import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeModel } from '../../../onnx/encode.js';
import { PASSES, prepareModel } from '../../../onnx/passes/index.js';
import { decodeModel, readModel } from '../../../onnx/read.js';
import { relativeDifference } from '../../support/closeness.js';
import { randomCnn } from '../../support/random-cnn.js';
import { runModel, SHARED_DIMS, sameBytes, seededInputs } from '../../support/run-model.js';
import { needsSharedData, sharedModels } from '../../support/shared-data.js';

test('the trained models compute what they did, exactly where nothing was folded into weights', async (t) => {
  const data = needsSharedData(t);
  if (!data) return;
  for (const { name, path } of sharedModels(data)) {
    const model = await readModel(path);
    const { model: prepared, facts } = await prepareModel(model);
    const bytes = encodeModel(prepared);
    decodeModel(bytes);
    assert.ok(bytes.byteLength <= encodeModel(model).byteLength + (64 << 10), `${name} grew to ${bytes.byteLength}`);
    const feeds = seededInputs(model, SHARED_DIMS);
    const [before, after] = [await runModel(path, feeds), await runModel(bytes, feeds)];
    if (facts.removed['affine-folding']) {
      const difference = relativeDifference(before, after);
      assert.ok(difference <= 1e-5, `${name}: ${difference}`);
    } else assert.ok(sameBytes(before, after), name);
    t.diagnostic(`${name}: ${JSON.stringify(facts)}`);
  }
});

test('random graphs compute what they did, exactly where nothing was folded into weights', async (t) => {
  const removed: Record<string, number> = {};
  let exact = 0;
  let worst = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const model = randomCnn(seed);
    const { model: prepared, facts } = await prepareModel(model);
    decodeModel(encodeModel(prepared));
    assert.deepEqual(prepared.graph.outputs, model.graph.outputs);
    assert.deepEqual(prepared.graph.inputs, model.graph.inputs);
    const feeds = seededInputs(model, { N: 2 }, seed);
    const [before, after] = [await runModel(model, feeds), await runModel(prepared, feeds)];
    const difference = relativeDifference(before, after);
    assert.ok(difference <= 1e-5, `seed ${seed}: ${difference}`);
    worst = Math.max(worst, difference);
    if (!facts.removed['affine-folding']) {
      exact++;
      assert.ok(sameBytes(before, after), `seed ${seed}`);
    }
    for (const [name, count] of Object.entries(facts.removed)) removed[name] = (removed[name] ?? 0) + count;
  }
  // The graphs are of use only if they have what the passes are for.
  assert.ok(exact > 5, `${exact} graphs without folding`);
  for (const name of ['constant-nodes', 'identities', 'constant-folding', 'affine-folding']) {
    assert.ok((removed[name] ?? 0) > 50, `${name}: ${removed[name]}`);
  }
  t.diagnostic(`removed ${JSON.stringify(removed)}; largest difference ${worst}`);
});

test('preparing what is prepared changes nothing', async () => {
  for (const seed of [3, 4, 5]) {
    const { model } = await prepareModel(randomCnn(seed));
    const again = await prepareModel(model);
    assert.deepEqual(again.model, model);
    assert.deepEqual(again.facts.removed, {});
  }
});

test('a pass does not change the model it is given', async () => {
  for (const seed of [6, 7, 8]) {
    const model = randomCnn(seed);
    const before = Buffer.from(encodeModel(model)).toString('base64');
    let current = model;
    for (const { name, run } of PASSES) {
      const given = Buffer.from(encodeModel(current)).toString('base64');
      const next = await run(current);
      assert.equal(Buffer.from(encodeModel(current)).toString('base64'), given, name);
      current = next;
    }
    assert.equal(Buffer.from(encodeModel(model)).toString('base64'), before);
  }
});

test('a model of IR version 3 gets its weights off the inputs, and the facts say so', async () => {
  const model = randomCnn(2);
  const { initializers } = model.graph;
  const listed = initializers.map(({ name, dataType, dims }) => {
    return {
      name,
      type: { kind: 'tensor', elemType: dataType, shape: dims },
      docString: '',
      metadataProps: [],
    } as const;
  });
  const old = { ...model, irVersion: 3, graph: { ...model.graph, inputs: [...model.graph.inputs, ...listed] } };
  const { model: prepared, facts } = await prepareModel(old);
  assert.equal(facts.overridableWeights, initializers.length);
  assert.deepEqual(
    prepared.graph.inputs.map(({ name }) => name),
    ['x'],
  );
  assert.equal(prepared.irVersion, 4);
});
