import { runTimes, type TimedModel } from '../onnx/runtime/run-times.js';
import { openModel } from '../onnx/runtime/session.js';
import type { NamedTensor } from '../onnx/tensor.js';
import type { Variant } from '../operators/variant.js';
import { firstInputs } from '../workloads/prepared.js';
import type { Workload } from '../workloads/types.js';
import { built, type Context, THREADS } from './real-data-build.js';
import { addLine, found, type Line } from './real-data-runs.js';
import type { KeyedRecipe } from './real-data-sets.js';
import { median } from './report.js';

const RUNS = 100;

/**
 * Times all variants of a seed on one item, each in turn beside the identity: what else the machine does meets both. Of a
 * cut model it is the sum of its stages on this machine, without a link between them.
 */
export async function timeSeed(
  workload: Workload,
  seed: number,
  recipes: readonly KeyedRecipe[],
  known: readonly Line[],
  context: Context,
): Promise<void> {
  const ids = recipes.map(({ name, key }) => ({
    ...{ side: 'tierbed' as const, data: workload.name, operator: name, seed, key },
  }));
  if (ids.every((id) => found(known, 'latency', id))) return;
  const inputs = await firstInputs(workload, 'evaluation', context.signal);
  if (!inputs) throw new Error(`${workload.name} has no item that can be read`);
  const variants: TimedModel[][] = [];
  for (const recipe of recipes) variants.push(await stagesOf(await built(workload, recipe, context), inputs));
  const times = await runTimes(variants.flat(), { threads: THREADS, runs: RUNS, signal: context.signal });
  let at = 0;
  const sums = variants.map((stages) => {
    const own = times.slice(at, at + stages.length);
    at += stages.length;
    return median((own[0] ?? []).map((_, run) => own.reduce((sum, runs) => sum + (runs[run] ?? 0), 0)));
  });
  for (const [i, id] of ids.entries()) {
    await addLine(context.runs, { kind: 'latency', ...id, ms: sums[i] as number, identityMs: sums[0] as number });
  }
}

/** The stages of a variant, each with what it is given when the item goes through those before it. */
async function stagesOf({ stages }: Variant, inputs: readonly NamedTensor[]): Promise<TimedModel[]> {
  const timed: TimedModel[] = [];
  let given = inputs;
  for (const { files } of stages) {
    const path = files[0]?.path as string;
    const session = await openModel(path, { threads: THREADS });
    try {
      const own = session.inputs.map(({ name }) => given.find((tensor) => tensor.name === name));
      const taken = own.filter((tensor) => tensor !== undefined);
      timed.push({ path, inputs: [taken] });
      given = [...given, ...(await session.run(taken))];
    } finally {
      await session.close();
    }
  }
  return timed;
}
