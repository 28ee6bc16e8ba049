import type { Model } from '../model.js';
import { affineFolding, affineFoldingBehind } from './affine-folding.js';
import { constantFolding } from './constant-folding.js';
import { constantInputs, listedWeights } from './constant-inputs.js';
import { constantNodes } from './constant-nodes.js';
import { deadCode } from './dead-code.js';
import { duplicateWeights } from './duplicate-weights.js';
import { identities } from './identities.js';
import type { Pass } from './pass.js';
import { countNodes, countWeights } from './walk.js';

export type { Pass } from './pass.js';

/**
 * The passes in the order in which they run: first what makes constants visible, then what is worked out of them, then
 * what is left over.
 */
export const PASSES: readonly Pass[] = [
  constantInputs,
  constantNodes,
  identities,
  // Before folding: a tensor that only dead nodes use besides is free to be folded.
  deadCode,
  constantFolding,
  affineFolding,
  deadCode,
  duplicateWeights,
];

/** The passes for a model that is to be quantised. */
export const PASSES_BEFORE_INT8: readonly Pass[] = PASSES.map((pass) =>
  pass === affineFolding ? affineFoldingBehind : pass,
);

/** What preparing did to a model, subgraphs counted in. */
export interface PrepareFacts {
  readonly nodes: { readonly before: number; readonly after: number };
  readonly weights: { readonly before: number; readonly after: number };
  /** How many nodes each pass took out, by the pass's name; without passes that took out none. */
  readonly removed: Readonly<Record<string, number>>;
  /** Weights that a caller could replace, being listed as inputs, and now cannot. */
  readonly overridableWeights: number;
}

export interface PreparedModel {
  readonly model: Model;
  readonly facts: PrepareFacts;
}

/**
 * Prepares a model for operators that work on its weights: Identity and Dropout are taken out, what depends on constants
 * alone is worked out, BatchNormalization and its like are folded into the layer before or behind, and what is then not
 * needed is dropped. Inputs and outputs keep their names and types; weights that were listed as inputs become constants.
 *
 * What the model computes changes by the rounding of folded weights at most, and not at all where nothing is folded into
 * weights.
 *
 * @throws TierbedError `missing` when external data that is needed is not there
 */
export async function prepareModel(model: Model, passes: readonly Pass[] = PASSES): Promise<PreparedModel> {
  const removed: Record<string, number> = {};
  let prepared = model;
  for (const { name, run } of passes) {
    const before = countNodes(prepared.graph);
    prepared = await run(prepared);
    const count = before - countNodes(prepared.graph);
    if (count > 0) removed[name] = (removed[name] ?? 0) + count;
  }
  const counts = (count: (graph: Model['graph']) => number) => ({
    before: count(model.graph),
    after: count(prepared.graph),
  });
  return {
    model: prepared,
    facts: {
      nodes: counts(countNodes),
      weights: counts(countWeights),
      removed,
      overridableWeights: listedWeights(model).size,
    },
  };
}
