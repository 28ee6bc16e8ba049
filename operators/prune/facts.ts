import type { Model } from '../../onnx/model.js';
import type { PruningGroup, StayingGroup } from './groups.js';
import type { CostName } from './kept-share.js';
import type { Worth } from './measure.js';
import { type LayerWeight, zerosByWeight } from './weights.js';

/** Less than this is within what runs differ by. */
const FASTER = 1.05;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** What was reached with zeros, and by layer. */
export function zeroFacts(model: Model, weights: readonly LayerWeight[]) {
  const zeros = zerosByWeight(model, new Set(weights.map(({ name }) => name)));
  const sum = { zero: 0, all: 0 };
  for (const { zero, all } of zeros.values()) {
    sum.zero += zero;
    sum.all += all;
  }
  return {
    reached: sum.zero / sum.all,
    zeros: sum.zero,
    weights: sum.all,
    layers: Object.fromEntries([...zeros].map(([name, { zero, all }]) => [name, zero / all])),
  };
}

/** What was removed of each group. */
export function groupFacts(groups: readonly PruningGroup[], gone: ReadonlySet<number>) {
  const rows = groups.map(({ name, kind, units, changes }) => {
    const before = units.length;
    const after = units.filter(({ id }) => !gone.has(id)).length;
    return { name, kind, before, after, ...(changes !== undefined && { changes }) };
  });
  const total = (side: 'before' | 'after') => rows.reduce((sum, row) => sum + row[side], 0);
  return { reached: 1 - total('after') / total('before'), groups: rows };
}

/** The share of a cost that was asked for, and the one that is kept. */
export function targetFacts({ cost, kept }: { readonly cost: CostName; readonly kept: number }, worth: Worth) {
  const { before, after } = worth[cost];
  return { [cost]: kept, reached: (after ?? Number.NaN) / (before ?? Number.NaN) };
}

/** What stays, and why. */
export function stayingFacts(stays: readonly StayingGroup[]) {
  return stays.map(({ name, axes, units, reason }) => ({
    ...{ name, units, reason },
    weights: axes.map(({ tensor, axis }) => `${tensor} axis ${axis}`),
  }));
}

/** Whether it is faster, in words. */
export function speedWords(kind: 'structured' | 'unstructured', zeros: number | undefined, { speed }: Worth): string {
  const measured = speed && `measured ${speed.beforeMs.toFixed(2)} ms before and ${speed.afterMs.toFixed(2)} ms after`;
  if (kind === 'unstructured') {
    const says = `not faster: ${percent(zeros ?? 0)} of the weights of its layers are zero, the model is dense as before, and dense kernels multiply zeros as they do everything else`;
    return measured ? `${says} (${measured})` : says;
  }
  if (!speed) return 'its speed was not measured: the workload has no item';
  if (speed.speedUp < FASTER) return `not faster here, though smaller: ${measured}`;
  return `${speed.speedUp.toFixed(2)} times as fast: ${measured}`;
}
