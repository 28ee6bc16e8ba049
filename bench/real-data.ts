// npm run bench:real-data: the operators of the published study on CIFAR-10 and SST-2 (TIERBED_DATA), over seeds: a row
// for each operator, its accuracy with an interval over the seeds, its size and latency.
//   --seeds 5       how many seeds, from 1
//   --epochs N      in the place of what each recipe has: for a try
//   --data NAME     cifar10 or sst2 alone
//   --operator NAME one operator alone
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../base/paths.js';
import { createProgress } from '../cli/progress.js';
import { runTimes } from '../onnx/runtime/run-times.js';
import { evaluate } from '../operators/evaluate.js';
import { buildVariants } from '../operators/recipe.js';
import type { Variant } from '../operators/variant.js';
import { firstInputs } from '../workloads/prepared.js';
import type { Workload } from '../workloads/types.js';
import { pictureRecipes, type Recipe, type RecipeSettings, textRecipes } from './real-data-recipes.js';
import { cifar, sst2 } from './real-data-workloads.js';
import { median, type Row, report } from './report.js';

const THREADS = 1;

/** Of Student's t for 95 %, by degrees of freedom from 1. */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

const { values: given } = parseArgs({
  options: {
    ...{ seeds: { type: 'string', default: '5' }, epochs: { type: 'string' } },
    ...{ data: { type: 'string' }, operator: { type: 'string' } },
  },
});
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());

interface DataSet {
  readonly name: string;
  load(seed: number, folder: string): Promise<Workload>;
  recipes(settings: RecipeSettings): Recipe[];
}

const DATA: readonly DataSet[] = [
  { name: 'cifar10', load: cifar, recipes: pictureRecipes },
  { name: 'sst2', load: sst2, recipes: textRecipes },
];

interface Result {
  readonly accuracy: number;
  readonly items: number;
  readonly bytes: number;
  readonly ms: number | null;
}

async function measure(workload: Workload, variant: Variant): Promise<Result> {
  const options = { threads: THREADS, progress: createProgress(), signal: stopped.signal };
  const { value, n } = await evaluate(workload, variant.stages, 'evaluation', options);
  const files = variant.stages.flatMap((stage) => stage.files);
  const [first] = variant.stages;
  // The stages of a cut model run on several machines: its latency is a study's to measure.
  const whole = variant.stages.length === 1 ? first?.files[0]?.path : undefined;
  const inputs = whole === undefined ? [] : await firstInputs(workload, 'evaluation', stopped.signal);
  const times =
    whole === undefined
      ? []
      : await runTimes([{ path: whole, inputs: [inputs ?? []] }], { threads: THREADS, runs: 60 });
  return {
    ...{ accuracy: 100 * (value ?? Number.NaN), items: n, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) },
    ms: times[0] ? median(times[0]) : null,
  };
}

/** Half of the 95 % interval of a mean over seeds; null of one seed. */
function halfInterval(values: readonly number[]): number | null {
  const { length } = values;
  if (length < 2) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (length - 1);
  return (T[length - 2] ?? 2) * Math.sqrt(variance / length);
}

const rows: Row[] = [];
const seeds = Array.from({ length: Number(given.seeds) }, (_, i) => i + 1);
const folder = join(cacheDir(), 'real-data');
await mkdir(folder, { recursive: true });
for (const data of DATA.filter(({ name }) => given.data === undefined || given.data === name)) {
  const found = new Map<string, Result[]>();
  for (const seed of seeds) {
    const workload = await data.load(seed, folder);
    const settings = { seed, ...(given.epochs !== undefined && { epochs: Number(given.epochs) }) };
    for (const { name, steps } of data.recipes(settings)) {
      if (given.operator !== undefined && given.operator !== name) continue;
      const startMs = performance.now();
      const [variant] = await buildVariants(workload, name, steps, {
        ...{ threads: THREADS, progress: createProgress(), signal: stopped.signal },
      });
      const result = await measure(workload, variant as Variant);
      const seconds = (performance.now() - startMs) / 1000;
      process.stderr.write(`${JSON.stringify({ data: data.name, operator: name, seed, ...result, seconds })}\n`);
      found.set(name, [...(found.get(name) ?? []), result]);
    }
  }
  for (const [name, results] of found) {
    const accuracies = results.map(({ accuracy }) => accuracy);
    const latencies = results.flatMap(({ ms }) => ms ?? []);
    rows.push({
      ...{ data: data.name, operator: name, seeds: results.length, items: results[0]?.items ?? 0 },
      accuracy: accuracies.reduce((sum, value) => sum + value, 0) / results.length,
      plusMinus: halfInterval(accuracies),
      kB: median(results.map(({ bytes }) => bytes)) / 1000,
      ms: latencies.length > 0 ? median(latencies) : null,
    });
  }
}
await report('real-data', rows, {});
