import { TierbedError } from '../../base/errors.js';
import { cutModel } from '../../onnx/cut.js';
import { inferValues } from '../../onnx/infer.js';
import type { Model } from '../../onnx/model.js';
import { openModel } from '../../onnx/runtime/session.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import { type Candidate, type Candidates, crossingBytes } from './candidates.js';
import type { Choice, Chosen } from './chosen.js';

/** What a time may be off by: cuts whose slowest stage is within this of the best are as good. */
const AS_GOOD = 1.05;

/** Runs before one counts. */
const WARM_UP_RUNS = 2;
/** At least so many runs, then until this many ms have passed. */
const MIN_RUNS = 5;
const ENOUGH_MS = 150;
const MAX_RUNS = 50;

/**
 * The cuts whose slowest stage is the fastest, by running stages on an item: each as a model of its own, optimised, as
 * nodes run it, so that what a cut costs (fusions that it breaks) counts. Where about the whole's halves or thirds lie is
 * found by bisection over what is before a cut; of the places around there every combination is measured.
 *
 * @throws TierbedError `invalid` without an item to run, or when the model cannot be cut into so many stages
 */
export async function balancedByTime(choice: Choice, candidates: Candidates, stages: number): Promise<Chosen> {
  const { item, context } = choice;
  if (!item) {
    throw new TierbedError('invalid', `${context.workload.name} has no item to measure stages on`, {
      fix: 'Give the workload data, or balance by macs.',
    });
  }
  const meter = await Meter.of(choice, item);
  const places = candidates.all;
  context.progress.start('measuring stages');
  try {
    const wholeMs = (await meter.stages([]))[0] as number;
    const near: Candidate[][] = [];
    for (let cut = 1; cut < stages; cut++) {
      const at = await bisect(places.length, async (i) => {
        context.progress.update(meter.measured);
        return (await meter.before(places[i] as Candidate)) >= (wholeMs * cut) / stages;
      });
      near.push([at - 1, at, at + 1].flatMap((i) => places[i] ?? []));
    }
    const measured: { cuts: readonly Candidate[]; ms: readonly number[] }[] = [];
    for (const cuts of combinations(near)) {
      if (cuts.length === 2 && !candidates.nested(cuts[0] as Candidate, cuts[1] as Candidate)) continue;
      measured.push({ cuts, ms: await meter.stages(cuts) });
      context.progress.update(meter.measured);
    }
    const slowest = ({ ms }: (typeof measured)[number]): number => Math.max(...ms);
    const limit = Math.min(...measured.map(slowest)) * AS_GOOD;
    const [best] = measured
      .filter((one) => slowest(one) <= limit)
      .sort((a, b) => crossingBytes(a.cuts) - crossingBytes(b.cuts) || slowest(a) - slowest(b));
    if (!best) {
      throw new TierbedError('invalid', `the model cannot be cut into ${stages} stages`, {
        fix: 'Ask for fewer stages, or name the cuts: `tierbed inspect MODEL` lists them.',
      });
    }
    return {
      cuts: best.cuts.map(({ tensors }) => tensors),
      why: 'the slowest stage takes the least time on this machine, within 5 %; of such cuts the fewest bytes cross',
      facts: { wholeMs: rounded(wholeMs), stageMs: best.ms.map(rounded) },
    };
  } finally {
    context.progress.stop();
  }
}

/** Runs stages and remembers what they took. */
class Meter {
  readonly #choice: Choice;
  readonly #item: readonly NamedTensor[];
  readonly #values: Awaited<ReturnType<typeof inferValues>>;
  readonly #known = new Map<string, number>();

  private constructor(choice: Choice, item: readonly NamedTensor[], values: Awaited<ReturnType<typeof inferValues>>) {
    this.#choice = choice;
    this.#item = item;
    this.#values = values;
  }

  static async of(choice: Choice, item: readonly NamedTensor[]): Promise<Meter> {
    return new Meter(choice, item, await inferValues(choice.model));
  }

  /** How many stages were measured so far. */
  get measured(): number {
    return this.#known.size;
  }

  /** What the stages between cuts take, in ms; one that was measured before is not run again for that. */
  async stages(cuts: readonly Candidate[]): Promise<number[]> {
    const models = cuts.length === 0 ? [this.#choice.model] : await this.#cut(cuts);
    const ms: number[] = [];
    let inputs = this.#item;
    for (const [i, model] of models.entries()) {
      const { outputs, tookMs } = await this.#run(keyOf(cuts[i - 1], cuts[i]), model, inputs, i < models.length - 1);
      ms.push(tookMs);
      inputs = outputs;
    }
    return ms;
  }

  /** What lies before a cut takes so many ms. */
  async before(cut: Candidate): Promise<number> {
    const known = this.#known.get(keyOf(undefined, cut));
    if (known !== undefined) return known;
    const [first] = await this.#cut([cut]);
    return (await this.#run(keyOf(undefined, cut), first as Model, this.#item, false)).tookMs;
  }

  #cut(cuts: readonly Candidate[]): Promise<Model[]> {
    return cutModel(
      this.#choice.model,
      cuts.map(({ tensors }) => tensors),
      { values: this.#values },
    );
  }

  /** @param needed whether the outputs are: else a stage that is known is not run */
  async #run(
    key: string,
    model: Model,
    inputs: readonly NamedTensor[],
    needed: boolean,
  ): Promise<{ outputs: readonly NamedTensor[]; tookMs: number }> {
    const known = this.#known.get(key);
    if (known !== undefined && !needed) return { outputs: [], tookMs: known };
    const { threads, signal } = this.#choice.context;
    const session = await openModel(model, { threads });
    try {
      const given = inputs.filter(({ name }) => session.inputs.some((input) => input.name === name));
      const outputs = await session.run(given);
      if (known !== undefined) return { outputs, tookMs: known };
      for (let i = 1; i < WARM_UP_RUNS; i++) await session.run(given);
      let fastestMs = Number.POSITIVE_INFINITY;
      const fromMs = performance.now();
      for (let i = 0; i < MAX_RUNS && (i < MIN_RUNS || performance.now() - fromMs < ENOUGH_MS); i++) {
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) throw new TierbedError('cancelled', 'measuring stages was cancelled');
        const startMs = performance.now();
        await session.run(given);
        fastestMs = Math.min(fastestMs, performance.now() - startMs);
      }
      this.#known.set(key, fastestMs);
      return { outputs, tookMs: fastestMs };
    } finally {
      await session.close();
    }
  }
}

function keyOf(from: Candidate | undefined, to: Candidate | undefined): string {
  return JSON.stringify([from?.tensors ?? null, to?.tensors ?? null]);
}

/** The first of `count` numbers for which `enough` holds, where it holds for all behind it too; `count` for none. */
async function bisect(count: number, enough: (i: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await enough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** One of each list, in every combination. */
function combinations<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((all, list) => all.flatMap((some) => list.map((one) => [...some, one])), [[]]);
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
