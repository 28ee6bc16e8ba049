import { rankedClasses } from '../postprocess/ranking.js';
import { classMisfit } from './class-misfit.js';
import type { Metric, MetricAccumulator, MetricKind } from './metric.js';
import { firstIsRight } from './top1.js';

/**
 * F1, the harmonic mean of precision and recall: of the class `positive`, or without it the mean over all classes that
 * occur in labels or predictions, each counting the same (macro average). A class that is never predicted rightly has 0,
 * as scikit-learn's `f1_score` has it.
 */
export const f1: MetricKind = {
  name: 'f1',
  schema: { properties: { positive: { type: ['string', 'integer'] } } },
  with(options): Metric {
    const positive = positiveOf(options);
    return {
      ...{ name: 'f1', unit: 'fraction', better: 'higher' },
      title: positive === undefined ? 'macro F1' : `F1 of '${positive}'`,
      correct: (prediction, label) => (label === '' ? null : firstIsRight(prediction, label)),
      accumulate: () => new F1(positive),
    };
  },
  misfit(measured, options) {
    const misfit = classMisfit('f1', measured);
    const positive = positiveOf(options);
    if (misfit || positive === undefined || measured.items.some(({ label }) => label === positive)) return misfit;
    const labels = [...new Set(measured.items.map(({ label }) => label))].sort();
    return {
      at: ['metric', 'f1', 'positive'],
      message: `no item has the label '${positive}'`,
      fix: `Use one of: ${labels.slice(0, 20).join(', ')}${labels.length > 20 ? '...' : ''}.`,
    };
  },
};

function positiveOf({ positive }: Readonly<Record<string, unknown>>): string | undefined {
  return positive === undefined ? undefined : String(positive);
}

/** Counts by class: memory grows with the classes alone. */
class F1 implements MetricAccumulator {
  readonly #positive: string | undefined;
  readonly #classes = new Map<string, { hits: number; predicted: number; labelled: number }>();
  #n = 0;

  constructor(positive: string | undefined) {
    this.#positive = positive;
  }

  add(prediction: string, label: string): void {
    this.#n++;
    const predicted = rankedClasses(prediction)[0] as string;
    this.#of(predicted).predicted++;
    this.#of(label).labelled++;
    if (predicted === label) this.#of(label).hits++;
  }

  get n(): number {
    return this.#n;
  }

  value(): number | null {
    if (this.#n === 0) return null;
    if (this.#positive !== undefined) return f1Of(this.#of(this.#positive));
    const scores = [...this.#classes.values()].map(f1Of);
    return scores.reduce((sum, score) => sum + score, 0) / scores.length;
  }

  #of(name: string): { hits: number; predicted: number; labelled: number } {
    const known = this.#classes.get(name);
    if (known) return known;
    const counts = { hits: 0, predicted: 0, labelled: 0 };
    this.#classes.set(name, counts);
    return counts;
  }
}

/** 2 P R / (P + R) is 2 hits / (predicted + labelled); 0 where the class occurs in neither. */
function f1Of({ hits, predicted, labelled }: { hits: number; predicted: number; labelled: number }): number {
  return predicted + labelled === 0 ? 0 : (2 * hits) / (predicted + labelled);
}
