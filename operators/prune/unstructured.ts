import { TierbedError } from '../../base/errors.js';
import type { PruneMethod, WeightArrays } from './method.js';
import { type Blocks, blocksOf, type Pattern } from './pattern.js';
import { lowest, lowestOfAll } from './select.js';
import { elementsOf, type LayerWeight } from './weights.js';

/**
 * `magnitude`: how large a weight is. `snip-momentum`: how much the loss would change without it, |weight * gradient|
 * (SNIP: Lee et al., ICLR 2019, arXiv:1810.02340), summed over the steps, each step counting 0.9 of the next.
 */
export type WeightScore = 'magnitude' | 'snip-momentum';

export interface UnstructuredOptions {
  readonly score: WeightScore;
  readonly pattern: Pattern;
  /** `global`: the lowest of all layers together go; `layer`: the same share of each. */
  readonly scope: 'global' | 'layer';
  /** The share of a layer that may go at most. */
  readonly mostOfLayer: number;
}

/** What is left of a score after a step, as in Intel Neural Compressor. */
const MEMORY = 0.9;

interface Layer {
  readonly weight: LayerWeight;
  readonly blocks: Blocks;
  /** By element: 1 where it has gone. */
  readonly gone: Float32Array;
  /** By element; none where weights are their own scores. */
  readonly gathered: Float32Array | undefined;
}

/** Sets single weights, or blocks of them, to zero. The model keeps its shapes, and dense kernels do not run faster. */
export class Unstructured implements PruneMethod {
  readonly needsGradients: boolean;
  readonly state: Readonly<Record<string, Float32Array>>;
  readonly #layers: readonly Layer[];
  readonly #options: UnstructuredOptions;

  constructor(weights: readonly LayerWeight[], options: UnstructuredOptions) {
    const { pattern, score } = options;
    this.#options = options;
    this.needsGradients = score === 'snip-momentum';
    this.#layers = weights.map((weight) => {
      const [rows, columns] = pattern.kind === 'block' ? [pattern.rows, pattern.columns] : [1, 1];
      return {
        weight,
        blocks: blocksOf(weight, rows, columns),
        gone: new Float32Array(elementsOf(weight)),
        gathered: this.needsGradients ? new Float32Array(elementsOf(weight)) : undefined,
      };
    });
    this.state = Object.fromEntries(
      this.#layers.flatMap(({ weight, gone, gathered }) => [
        [`gone/${weight.name}`, gone],
        ...(gathered ? [[`score/${weight.name}`, gathered]] : []),
      ]),
    );
  }

  /** @throws TierbedError `invalid` for a weight without a gradient, which would count for nothing */
  observe(weights: WeightArrays, gradients: WeightArrays): void {
    for (const { weight, gathered } of this.#layers) {
      const [values, gradient] = [weights.get(weight.name), gradients.get(weight.name)];
      if (!gathered || !values) continue;
      if (!gradient) {
        throw new TierbedError(
          'invalid',
          `prune: the loss does not depend on ${weight.name}, and \`score: snip-momentum\` comes from gradients`,
          {
            fix: 'Name it in `exclude`; or use `score: magnitude`.',
          },
        );
      }
      for (let i = 0; i < gathered.length; i++) {
        const effect = Math.abs((values[i] as number) * (gradient[i] as number));
        gathered[i] = MEMORY * (gathered[i] as number) + effect;
      }
    }
  }

  advance(sparsity: number, weights: WeightArrays): void {
    const { pattern, scope, mostOfLayer } = this.#options;
    if (pattern.kind === 'run') {
      for (const layer of this.#layers) markRuns(layer, this.#scoresOf(layer, weights), pattern.of, sparsity);
      return;
    }
    const scored = this.#layers.map((layer) => {
      const scores = blockScores(layer.blocks, this.#scoresOf(layer, weights), layer.gone);
      return { scores, most: Math.floor(mostOfLayer * scores.length) };
    });
    const total = scored.reduce((sum, { scores }) => sum + scores.length, 0);
    const marks =
      scope === 'global'
        ? lowestOfAll(scored, Math.round(sparsity * total))
        : scored.map(({ scores, most }) => lowest(scores, Math.min(most, Math.round(sparsity * scores.length))));
    for (const [i, { blocks, gone }] of this.#layers.entries()) {
      const own = marks[i] as Uint8Array;
      blocks.each((element, block) => {
        if (own[block] === 1) gone[element] = 1;
      });
    }
  }

  zero(weights: WeightArrays): void {
    for (const { weight, gone } of this.#layers) {
      const values = weights.get(weight.name);
      if (!values) continue;
      for (let i = 0; i < gone.length; i++) if (gone[i] === 1) values[i] = 0;
    }
  }

  /** By element: how much would be lost without it. */
  #scoresOf({ weight, gathered }: Layer, weights: WeightArrays): Float32Array {
    return gathered ?? (weights.get(weight.name) as Float32Array).map(Math.abs);
  }
}

/** The mean of each block's scores; what has gone stays lowest. */
function blockScores({ count, each }: Blocks, scores: Float32Array, gone: Float32Array): Float32Array {
  const sums = new Float32Array(count);
  const sizes = new Float32Array(count);
  const lost = new Uint8Array(count);
  each((element, block) => {
    sums[block] = (sums[block] as number) + (scores[element] as number);
    sizes[block] = (sizes[block] as number) + 1;
    if (gone[element] === 1) lost[block] = 1;
  });
  return sums.map((sum, block) => (lost[block] === 1 ? -1 : sum / (sizes[block] as number)));
}

/** Marks the lowest of each run of consecutive inputs. */
function markRuns({ weight, gone }: Layer, scores: Float32Array, length: number, sparsity: number): void {
  const { outputs, inputs, places, outputStride, inputStride } = weight;
  for (let o = 0; o < outputs; o++) {
    for (let k = 0; k < places; k++) {
      for (let first = 0; first < inputs; first += length) {
        const elements = Array.from(
          { length: Math.min(length, inputs - first) },
          (_, i) => o * outputStride + (first + i) * inputStride + k,
        );
        const score = (element: number) => (gone[element] === 1 ? -1 : (scores[element] as number));
        elements.sort((a, b) => score(a) - score(b));
        const count = Math.floor(sparsity * elements.length + 1e-6);
        for (const element of elements.slice(0, count)) gone[element] = 1;
      }
    }
  }
}
