import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Model } from '../../../onnx/model.js';
import type { DenseTensor } from '../../../onnx/tensor.js';
import { picture, text } from '../quantise/own-workload.js';
import { smallCnn, smallTransformer } from '../quantise/small-graphs.js';
import { answers, moved, quantisedOf, type SimulatedOptions, simulated } from './simulated.js';
import { stepsApart } from './steps-apart.js';

const MODELS: Readonly<Record<string, { model: () => Model; input: string; item: (seed: number) => DenseTensor }>> = {
  cnn: { model: smallCnn, input: 'x', item: picture },
  transformer: { model: smallTransformer, input: 'ids', item: text },
};

const OPTIONS: readonly SimulatedOptions[] = [
  { ranges: 'moving' },
  { ranges: 'learned' },
  { ranges: 'fixed', perChannel: false },
  { ranges: 'moving', activations: 'int8' },
  { ranges: 'learned', activations: 'int8', reduceRange: true },
];

for (const [name, { model, input, item }] of Object.entries(MODELS)) {
  for (const options of OPTIONS) {
    test(`${name}: the simulation is what the int8 model computes: ${JSON.stringify(options)}`, async () => {
      const items = Array.from({ length: 12 }, (_, i) => item(i));
      const made = await simulated(model(), input, items, options);
      const places = { start: made.simulation.model, trained: moved(made) };
      for (const [when, trained] of Object.entries(places)) {
        const int8 = await quantisedOf(made, trained);
        const wanted = await answers(trained, input, items, false);
        const apart = stepsApart(wanted, await answers(int8, input, items, false));
        const fused = stepsApart(wanted, await answers(int8, input, items, true));
        assert.ok(apart < 1 && fused < 1, `${when}: ${apart} and ${fused} steps`);
      }
    });
  }
}
