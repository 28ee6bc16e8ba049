// Our side of one measurement of bench:quantise, as a process of its own: takes the job that the Python side takes
// (bench/peers/quantise.py), applies the operator, and prints what it made and its peak memory as JSON.
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { silent } from '../base/progress.js';
import { operator } from '../operators/index.js';
import { describeModel } from '../operators/model-files.js';
import type { Workload, WorkloadItem } from '../workloads/types.js';
import { peakMemoryBytes } from './peak-memory.js';
import type { Job, Quantised } from './quantise-sides.js';

const job = JSON.parse(await readFile(process.argv[2] as string, 'utf8')) as Job;
const files = (await readdir(job.calibration)).filter((name) => name.endsWith('.item')).sort();
const calibration = files.map((name): WorkloadItem => {
  return { id: basename(name, '.item'), label: '', read: () => readFile(join(job.calibration, name)) };
});
const workload: Workload = {
  ...{ name: 'bench', modelPath: job.model, items: [], training: [], calibration, tuning: [] },
  ...{ preprocess: { kind: 'tensors' }, postprocess: { kind: 'digest' }, metric: 'none' },
};
const { operator: name, ...settings } = job.setting;
const options =
  name === 'sptq'
    ? { ...settings, items: calibration.length, activations: 'uint8' }
    : { perChannel: settings.perChannel };
// One line for the table, not a stack.
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
const [made] = await operator(name).apply(
  { name: 'bench', stages: [await describeModel(job.model)], steps: [] },
  options,
  {
    ...{ workload, threads: 0, outDir: job.outDir, workDir: `${job.outDir}.work` },
    ...{ progress: silent, signal: new AbortController().signal },
  },
);
const result: Quantised = {
  path: made?.stages[0]?.files[0]?.path as string,
  peakMemoryBytes: await peakMemoryBytes(),
};
process.stdout.write(JSON.stringify(result));
