import type { CoupledAxis, PruningGroup } from './groups.js';
import type { PruneMethod, WeightArrays } from './method.js';
import { lowest, lowestOfAll } from './select.js';
import { eachRun, zeroUnits } from './zero.js';

/**
 * How much a unit matters. `l1`, `l2`: the norm of all its weights, of all layers it is coupled through. `bn-scale`: the
 * scales of its normalisations (Liu et al., ICCV 2017, arXiv:1708.06519). `taylor`: how much the loss would change without
 * it, to first order, squared and summed over the steps (Molchanov et al., CVPR 2019, arXiv:1906.10771).
 */
export type UnitScore = 'l1' | 'l2' | 'bn-scale' | 'taylor';

export interface StructuredOptions {
  readonly score: UnitScore;
  /** `layer`: the same share of each group; `global`: the lowest of all, each held against the mean of its group. */
  readonly scope: 'global' | 'layer';
  /** Units that each group keeps at least. */
  readonly atLeast: number;
  /** What is left of a group is a multiple of this, the nearest; undefined: as kernels are filled (`filledUnits`). */
  readonly multipleOf: number | undefined;
}

/** Channels that ONNX Runtime's convolutions work on at once on x86 with AVX2: of fewer the rest are zeros. */
const BLOCK = 8;

/** A weight that units take indices out of. */
export interface UnitWeight {
  readonly dims: readonly number[];
  /** The scale of a BatchNormalization. */
  readonly bnScale: boolean;
}

/** Units that would go. */
export interface Choice {
  /** By group and unit: 1 where it goes. */
  readonly marks: readonly Uint8Array[];
  /** Ids, those that have gone already among them. */
  readonly gone: ReadonlySet<number>;
  /** Has them gone. */
  take(): void;
}

/** What may go, by scores of one moment. */
export interface Choices {
  at(sparsity: number): Choice;
  of(marks: readonly Uint8Array[]): Choice;
  /** The scores of units that go of a group, in parts of its mean. */
  worth(group: number, marks: Uint8Array): number;
}

/** Chooses units of groups to be removed. */
export class Structured implements PruneMethod {
  readonly needsGradients: boolean;
  readonly state: Readonly<Record<string, Float32Array>>;
  readonly #groups: readonly PruningGroup[];
  readonly #weights: ReadonlyMap<string, UnitWeight>;
  readonly #options: StructuredOptions;
  /** By group and unit: 1 where it has gone. */
  readonly #gone: readonly Float32Array[];
  readonly #gathered: readonly Float32Array[];

  constructor(groups: readonly PruningGroup[], weights: ReadonlyMap<string, UnitWeight>, options: StructuredOptions) {
    this.#groups = groups;
    this.#weights = weights;
    this.#options = options;
    this.needsGradients = options.score === 'taylor';
    this.#gone = groups.map(({ units }) => new Float32Array(units.length));
    this.#gathered = this.needsGradients ? groups.map(({ units }) => new Float32Array(units.length)) : [];
    this.state = Object.fromEntries([
      ...this.#gone.map((gone, i) => [`gone/${i}`, gone] as const),
      ...this.#gathered.map((scores, i) => [`score/${i}`, scores] as const),
    ]);
  }

  /** The ids of the units that have gone. */
  get gone(): ReadonlySet<number> {
    return new Set(
      this.#groups.flatMap(({ units }, g) => units.filter((_, u) => this.#gone[g]?.[u] === 1).map(({ id }) => id)),
    );
  }

  observe(weights: WeightArrays, gradients: WeightArrays): void {
    this.#gathered.forEach((scores, g) => {
      const group = this.#groups[g] as PruningGroup;
      for (const [place, axis] of group.axes.entries()) {
        const [values, gradient] = [weights.get(axis.tensor), gradients.get(axis.tensor)];
        const dims = this.#weights.get(axis.tensor)?.dims;
        if (!values || !gradient || !dims || dims.length < 2) continue;
        const effects = sumsOver(group, place, dims, (i) => (values[i] as number) * (gradient[i] as number));
        for (const [u, effect] of effects.entries()) scores[u] = (scores[u] as number) + effect ** 2;
      }
    });
  }

  advance(sparsity: number, weights: WeightArrays): void {
    this.choices(weights).at(sparsity).take();
  }

  /** What may go, by scores as they are. */
  choices(weights: WeightArrays): Choices {
    const scores = this.#groups.map((group, g) => this.#scoresOf(group, g, weights));
    const marksOf = this.#options.scope === 'layer' ? this.#lowestOfEach(scores) : this.#lowestOfAll(scores);
    const of = (marks: readonly Uint8Array[]): Choice => {
      const gone = new Set(
        this.#groups.flatMap(({ units }, g) =>
          units.filter((_, u) => marks[g]?.[u] === 1 || this.#gone[g]?.[u] === 1).map(({ id }) => id),
        ),
      );
      const take = (): void => {
        for (const [g, own] of marks.entries()) this.#mark(g, own);
      };
      return { marks, gone, take };
    };
    const relative = scores.map(heldAgainstMean);
    const worth = (group: number, marks: Uint8Array): number =>
      marks.reduce((sum, mark, u) => sum + (mark === 1 ? Math.max(0, relative[group]?.[u] ?? 0) : 0), 0);
    return { at: (sparsity) => of(marksOf(sparsity)), of, worth };
  }

  #lowestOfEach(scores: readonly Float32Array[]) {
    return (sparsity: number): readonly Uint8Array[] =>
      scores.map((own, g) => lowest(own, unitsToRemove(this.#groups[g] as PruningGroup, sparsity, this.#options)));
  }

  #lowestOfAll(scores: readonly Float32Array[]) {
    const total = scores.reduce((sum, { length }) => sum + length, 0);
    const scored = scores.map((own) => ({ scores: heldAgainstMean(own), most: this.#most(own.length) }));
    return (sparsity: number): readonly Uint8Array[] =>
      lowestOfAll(scored, Math.floor(sparsity * total)).map((marks, g) => {
        const own = scores[g] as Float32Array;
        const wanted = marks.reduce((sum, mark) => sum + mark, 0);
        const left = filledUnits(this.#groups[g] as PruningGroup, own.length - wanted, this.#options);
        return lowest(own, own.length - Math.max(left, this.#options.atLeast));
      });
  }

  zero(weights: WeightArrays): void {
    const { gone } = this;
    if (gone.size === 0) return;
    const views = new Map(
      [...this.#weights].flatMap(([name, { dims }]) => {
        const values = weights.get(name);
        return values ? [[name, { dims, values }] as const] : [];
      }),
    );
    zeroUnits(this.#groups, gone, views);
  }

  #mark(group: number, marks: Uint8Array): void {
    const gone = this.#gone[group] as Float32Array;
    marks.forEach((mark, u) => {
      if (mark === 1) gone[u] = 1;
    });
  }

  /** Units that a group may lose. */
  #most(units: number): number {
    return Math.max(0, units - Math.max(1, this.#options.atLeast));
  }

  #scoresOf(group: PruningGroup, g: number, weights: WeightArrays): Float32Array {
    const scores = this.#gathered[g]?.slice() ?? this.#norms(group, weights);
    this.#gone[g]?.forEach((gone, u) => {
      if (gone === 1) scores[u] = -1;
    });
    return scores;
  }

  #norms(group: PruningGroup, weights: WeightArrays): Float32Array {
    const { score } = this.#options;
    const totals = new Float64Array(group.units.length);
    for (const [place, { tensor }] of group.axes.entries()) {
      const [weight, values] = [this.#weights.get(tensor), weights.get(tensor)];
      if (!weight || !values || (score === 'bn-scale' ? !weight.bnScale : weight.dims.length < 2)) continue;
      const power =
        score === 'l2' ? (i: number) => (values[i] as number) ** 2 : (i: number) => Math.abs(values[i] as number);
      const sums = sumsOver(group, place, weight.dims, power);
      for (const [u, sum] of sums.entries()) totals[u] = (totals[u] as number) + sum;
    }
    return Float32Array.from(totals, score === 'l2' ? Math.sqrt : (total) => total);
  }
}

/** How many units of a group go for a share: at most so many that one is left. */
export function unitsToRemove(
  group: Pick<PruningGroup, 'kind' | 'units'>,
  sparsity: number,
  options: Pick<StructuredOptions, 'multipleOf'>,
): number {
  const count = group.units.length;
  return count - filledUnits(group, count - Math.floor(count * sparsity + 1e-6), options);
}

/**
 * How many units of a group stay when so many are left: the nearest multiple. Unless it is told, one that fills a block of
 * channels, for groups of at least two blocks, but for heads, and where less than a block is left.
 */
export function filledUnits(
  { kind, units }: Pick<PruningGroup, 'kind' | 'units'>,
  left: number,
  { multipleOf }: Pick<StructuredOptions, 'multipleOf'>,
): number {
  const block = Math.max(1, Math.round(BLOCK / (units[0]?.indices[0]?.length ?? 1)));
  const filled = kind === 'heads' || units.length < 2 * block || left < block ? 1 : block;
  const multiple = multipleOf ?? filled;
  return Math.min(units.length, Math.max(multiple, Math.round(left / multiple) * multiple));
}

/** Scores in parts of their mean, those of what has gone left out; so that layers of other sizes compare. */
function heldAgainstMean(scores: Float32Array): Float32Array {
  const alive = scores.filter((score) => score >= 0);
  const mean = alive.reduce((sum, score) => sum + score, 0) / Math.max(1, alive.length) || 1;
  return scores.map((score) => (score < 0 ? -1 : score / mean));
}

/** By unit, the sum over all elements of a weight that it takes out. */
function sumsOver(
  { units, axes }: PruningGroup,
  place: number,
  dims: readonly number[],
  of: (element: number) => number,
): Float64Array {
  const sums = new Float64Array(units.length);
  const { axis } = axes[place] as CoupledAxis;
  return sums.map((_, u) => {
    let sum = 0;
    eachRun(dims, axis, units[u]?.indices[place] as readonly number[], (start, end) => {
      for (let i = start; i < end; i++) sum += of(i);
    });
    return sum;
  });
}
