// npm run bench:real-data: the operators of the published study on CIFAR-10 and SST-2 (TIERBED_DATA), over seeds, and the
// same recipes in PyTorch (bench/peers/real_data.py): accuracy with an interval over the seeds, size and latency. What is
// found is added to a file as it is found: a bench that was stopped goes on where it was. docs/real-data.md.
//   --seeds 1,2,3   which seeds; 1 to 5 unless told
//   --data NAME     cifar10 or sst2 alone
//   --operator NAME one operator alone
//   --epochs N      in the place of what each recipe has: for a try
//   --runs FILE     the file of what is found; real-data/runs.jsonl in the cache unless told
//   --latency       measures the latencies of what was made
//   --export        writes what the PyTorch side needs, and prints the paths of its jobs
//   --report        prints the table and writes bench/results/real-data.json
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../base/paths.js';
import { createProgress } from '../cli/progress.js';
import { buildSeed, type Context } from './real-data-build.js';
import { exportSeed } from './real-data-export.js';
import { timeSeed } from './real-data-latency.js';
import { readLines } from './real-data-runs.js';
import { DATA, type DataSet, keyedRecipes } from './real-data-sets.js';
import { summary } from './real-data-summary.js';
import { report } from './report.js';

const folder = join(cacheDir(), 'real-data');
const { values: given } = parseArgs({
  options: {
    ...{ seeds: { type: 'string', default: '1,2,3,4,5' }, epochs: { type: 'string' } },
    ...{ data: { type: 'string' }, operator: { type: 'string' } },
    runs: { type: 'string', default: join(folder, 'runs.jsonl') },
    ...{ latency: { type: 'boolean' }, export: { type: 'boolean' }, report: { type: 'boolean' } },
  },
});
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
const context: Context = { runs: given.runs, progress: createProgress(), signal: stopped.signal };
const seeds = given.seeds.split(',').map(Number);

function recipesOf(data: DataSet, seed: number) {
  const epochs = given.epochs === undefined ? {} : { epochs: Number(given.epochs) };
  return keyedRecipes(data, { seed, ...epochs });
}

async function work(data: DataSet, seed: number): Promise<void> {
  const workload = await data.load(seed, folder);
  const { signal } = context;
  const recipes = recipesOf(data, seed);
  const known = await readLines(given.runs);
  if (given.latency) await timeSeed(workload, seed, recipes, known, context);
  else if (given.export) {
    const job = await exportSeed(workload, seed, recipes, { folder, runs: given.runs, student: data.student, signal });
    process.stdout.write(`${job}\n`);
  } else {
    const wanted = recipes.filter(({ name }) => given.operator === undefined || given.operator === name);
    await buildSeed(workload, seed, wanted, known, context);
  }
}

await mkdir(folder, { recursive: true });
const chosen = DATA.filter(({ name }) => given.data === undefined || given.data === name);
if (given.report) {
  const wanted = chosen.flatMap((data) =>
    recipesOf(data, 0).map(({ name, key }) => ({ data: data.name, operator: name, key })),
  );
  await report('real-data', summary(await readLines(given.runs), wanted, seeds), {});
} else {
  for (const data of chosen) for (const seed of seeds) await work(data, seed);
}
