import { TierbedError } from '../../base/errors.js';
import { numbersText, parseNumbers } from '../postprocess/numbers.js';
import { labelMisfit } from './class-misfit.js';
import type { Metric, MetricAccumulator, MetricKind } from './metric.js';

/**
 * Mean squared error: the mean, over the items, of each item's mean of the squared differences between the numbers
 * predicted and those of the label. With `against`, a model's input takes the label's place: what an autoencoder is to
 * give back.
 */
export const mse: MetricKind = {
  name: 'mse',
  schema: { properties: { against: { type: 'string', minLength: 1 } } },
  with: (): Metric => ({
    ...{ name: 'mse', title: 'mean squared error', unit: 'number', better: 'lower' },
    correct(prediction, label) {
      if (label !== '') errorOf(prediction, label);
      return null;
    },
    accumulate: () => new MeanSquaredError(),
  }),
  misfit({ postprocess, items }, { against }) {
    if (postprocess.kind !== 'numbers') {
      return {
        at: ['metric'],
        message: `'mse' compares numbers, and the postprocessing '${postprocess.kind}' gives none`,
        fix: 'Postprocess with `{ kind: numbers, output: OUTPUT }`, or choose another metric.',
      };
    }
    if (against !== undefined) return undefined;
    const fix = 'Write each label as numbers with spaces between, or compare with an input: `{ mse: { against: INPUT } }`.';
    const unlabelled = labelMisfit('mse', items);
    if (unlabelled) return { ...unlabelled, fix };
    const strange = items.find(({ label }) => !parseNumbers(label));
    if (!strange) return undefined;
    return { at: ['metric'], message: `'mse' compares numbers, and '${strange.id}' has the label '${strange.label}'`, fix };
  },
  async labels({ against }) {
    if (against === undefined) return undefined;
    return {
      async label(inputs) {
        const input = inputs.find(({ name }) => name === against);
        if (input) return numbersText(`input '${input.name}'`, input.tensor);
        throw new TierbedError('invalid', `the items have no input '${against}'`, {
          fix: `Use one of: ${inputs.map(({ name }) => name).join(', ')}.`,
        });
      },
      async close() {},
    };
  },
};

class MeanSquaredError implements MetricAccumulator {
  #n = 0;
  #sum = 0;

  add(prediction: string, label: string): void {
    this.#sum += errorOf(prediction, label);
    this.#n++;
  }

  get n(): number {
    return this.#n;
  }

  value(): number | null {
    return this.#n === 0 ? null : this.#sum / this.#n;
  }
}

/** @throws TierbedError `invalid` when one is not numbers, or they are not as many */
function errorOf(prediction: string, label: string): number {
  const [predicted, wanted] = [parseNumbers(prediction), parseNumbers(label)];
  if (!predicted || !wanted) {
    const text = predicted ? `label '${label}'` : `prediction '${prediction}'`;
    throw new TierbedError('invalid', `mse: the ${text.slice(0, 80)} is not numbers`);
  }
  if (predicted.length !== wanted.length) {
    throw new TierbedError('invalid', `mse: ${predicted.length} numbers predicted, and the label has ${wanted.length}`);
  }
  return predicted.reduce((sum, value, i) => sum + (value - (wanted[i] as number)) ** 2, 0) / predicted.length;
}
