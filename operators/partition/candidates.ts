import { CutGraph } from '../../onnx/frontier.js';
import { type InspectedCut, inspectModel, type Side } from '../../onnx/inspect.js';
import type { Model } from '../../onnx/model.js';
import { validateCutIn } from '../../onnx/validate-cut.js';

/** A place to cut whose bytes are known. */
export interface Candidate extends InspectedCut {
  readonly bytes: number;
}

/** Above so many places, of those at about the same share of the work the narrowest stands for the others. */
const MOST = 1500;
const SHARES = 750;

/** What one side of a cut weighs. */
export type Weight = (side: Side) => number;

/** Every place where a model can be cut, and what is before and behind it. */
export class Candidates {
  /** From the front of the model to its end. */
  readonly all: readonly Candidate[];
  /** What `narrowest` and `balanced` weigh by where nothing else is said: the first of these that the model has any of. */
  readonly work: { readonly name: 'macs' | 'parameters' | 'nodes'; readonly of: Weight };
  readonly #graph: CutGraph;
  readonly #before = new Map<Candidate, ReadonlySet<number>>();

  private constructor(graph: CutGraph, all: readonly Candidate[]) {
    this.#graph = graph;
    const has = (of: Weight) => all.length > 0 && all.every(({ before, after }) => of(before) + of(after) > 0);
    const macs = ({ macs }: Side) => macs ?? Number.NaN;
    const parameters = ({ parameters }: Side) => parameters;
    this.work = has(macs)
      ? { name: 'macs', of: macs }
      : has(parameters)
        ? { name: 'parameters', of: parameters }
        : { name: 'nodes', of: ({ nodes }) => nodes };
    const of = this.work.of;
    this.all = thinned(all, of).sort((a, b) => of(a.before) - of(b.before) || a.before.nodes - b.before.nodes);
  }

  /** @param dims sizes of the inputs' free dimensions */
  static async find(model: Model, dims: Readonly<Record<string, number>>): Promise<Candidates> {
    const { cuts } = await inspectModel(model, { dims });
    return new Candidates(
      new CutGraph(model.graph),
      cuts.filter((cut): cut is Candidate => cut.bytes !== null),
    );
  }

  /** Whether everything before `first` is before `second` too, and more is. */
  nested(first: Candidate, second: Candidate): boolean {
    const [inner, outer] = [this.#ranks(first), this.#ranks(second)];
    return inner.size < outer.size && [...inner].every((rank) => outer.has(rank));
  }

  /**
   * The cuts, one fewer than stages, with the lowest score; of equals the last, so that an activation stays with what it
   * is fused with.
   *
   * @param score of cuts in the order in which a request passes them; infinite where they will not do
   * @returns undefined when none will do
   */
  best(stages: number, score: (cuts: readonly Candidate[]) => number): readonly Candidate[] | undefined {
    let best: readonly Candidate[] | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    for (const cuts of this.#combinations(stages)) {
      const found = score(cuts);
      if (!(found <= lowest) || found === Number.POSITIVE_INFINITY) continue;
      if (cuts.length === 2 && !this.nested(cuts[0] as Candidate, cuts[1] as Candidate)) continue;
      best = cuts;
      lowest = found;
    }
    return best;
  }

  *#combinations(stages: number): Generator<readonly Candidate[]> {
    for (const [i, first] of this.all.entries()) {
      if (stages === 2) yield [first];
      else for (let j = i + 1; j < this.all.length; j++) yield [first, this.all[j] as Candidate];
    }
  }

  #ranks(cut: Candidate): ReadonlySet<number> {
    const known = this.#before.get(cut);
    if (known) return known;
    const { before } = validateCutIn(this.#graph, cut.tensors);
    this.#before.set(cut, before);
    return before;
  }
}

/** What each stage between cuts weighs; constants that two stages have a copy of count for the first of them. */
export function stageWeights(cuts: readonly Candidate[], of: Weight): number[] {
  const [first, last] = [cuts[0] as Candidate, cuts.at(-1) as Candidate];
  const between = cuts.length === 2 ? [Math.max(0, of(last.before) - of(first.before))] : [];
  return [of(first.before), ...between, of(last.after)];
}

/** Bytes that cross all of the cuts. */
export function crossingBytes(cuts: readonly Candidate[]): number {
  return cuts.reduce((sum, { bytes }) => sum + bytes, 0);
}

function thinned(all: readonly Candidate[], of: Weight): Candidate[] {
  if (all.length <= MOST) return [...all];
  const kept = new Map<number, Candidate>();
  for (const cut of all) {
    const share = Math.round((SHARES * of(cut.before)) / (of(cut.before) + of(cut.after)));
    const known = kept.get(share);
    if (!known || cut.bytes < known.bytes) kept.set(share, cut);
  }
  return [...kept.values()];
}
