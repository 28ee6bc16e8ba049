// npm run bench:train: a step of training (forward, loss, backward, optimiser) beside PyTorch eager: the same network,
// weights, batch, optimiser and threads on the same processor, in turn. Needs bench/peers/setup-train.sh. Names of
// networks measure these alone and leave the other rows as they are; --threads 1 and --rounds 2 are for a try.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../base/paths.js';
import { Random } from '../base/random.js';
import { elementCount, float32Tensor } from '../onnx/tensor.js';
import { writeModel } from '../onnx/write.js';
import { encodeItemFile } from '../workloads/item-file.js';
import { randomWeights } from '../workloads/zoo/weights.js';
import { writeNpy } from './npy.js';
import { atMost, type Figure, median, type Row, report } from './report.js';
import { type BenchModel, int64Tensor, MODELS } from './train-models.js';
import { profileSteps } from './train-profile.js';
import { type Job, type Side, type Steps, TrainSide } from './train-sides.js';

const BOUNDS = { time: 1.5, memory: 1.5, loss: 1e-3 } as const;
const THREADS = [1, 2];
/** Rounds of as many steps of each side in turn. */
const ROUNDS = 8;
const STEPS = 3;
const WARM_UP = 3;

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());

/** Writes what both sides train. */
async function prepare(model: BenchModel, folder: string): Promise<Omit<Job, 'threads'>> {
  const [weights, batch] = [join(folder, 'weights'), join(folder, 'batch')];
  for (const path of [weights, batch]) await mkdir(path, { recursive: true });
  const source = randomWeights(11);
  const { model: network, parameters } = model.build(source);
  const onnx = join(folder, 'model.onnx');
  await writeModel(network, onnx);
  for (const parameter of parameters) {
    await writeNpy(join(weights, `${parameter.name}.npy`), float32Tensor(parameter.shape, source(parameter)()));
  }
  const random = new Random(3);
  const inputs = model.inputs(random);
  const labels = Array.from({ length: model.batch }, () => random.integer(model.classes));
  for (const { name, tensor } of inputs) await writeNpy(join(batch, `${name}.npy`), tensor);
  await writeNpy(join(batch, 'labels.npy'), int64Tensor([model.batch], labels));
  const targets = new Float32Array(elementCount([model.batch, model.classes]));
  for (const [i, label] of labels.entries()) targets[i * model.classes + label] = 1;
  const item = join(folder, 'batch.item');
  const target = { name: 'targets', tensor: float32Tensor([model.batch, model.classes], targets) };
  await writeFile(item, encodeItemFile([...inputs, target]));
  return { model: model.name, weights, batch, onnx, item, optimizer: model.optimizer };
}

async function measure(model: BenchModel, threads: number, folder: string): Promise<Row> {
  const job: Job = { ...(await prepare(model, folder)), threads };
  const jobFile = join(folder, 'job.json');
  await writeFile(jobFile, JSON.stringify(job));
  const sides: Record<Side, TrainSide> = {
    ours: await TrainSide.start('ours', jobFile, stopped.signal),
    torch: await TrainSide.start('torch', jobFile, stopped.signal),
  };
  const done: Record<Side, Steps[]> = { ours: [], torch: [] };
  try {
    for (let round = 0; round <= rounds; round++) {
      const order: Side[] = round % 2 === 0 ? ['ours', 'torch'] : ['torch', 'ours'];
      for (const side of order) done[side].push(await sides[side].steps(round === 0 ? WARM_UP : STEPS));
    }
  } finally {
    await Promise.allSettled([sides.ours.stop(), sides.torch.stop()]);
  }
  const all = (side: Side, key: 'ms' | 'cpuMs'): number[] => done[side].slice(1).flatMap((steps) => steps[key]);
  const loss = (side: Side): number[] => done[side].flatMap((steps) => steps.loss).slice(0, WARM_UP + STEPS);
  const peak = (side: Side): number => (done[side].at(-1) as Steps).peakMemoryBytes / 1e6;
  const [ms, torchMs] = [median(all('ours', 'ms')), median(all('torch', 'ms'))];
  const [cpuMs, torchCpuMs] = [median(all('ours', 'cpuMs')), median(all('torch', 'cpuMs'))];
  const [peakMB, torchPeakMB] = [peak('ours'), peak('torch')];
  const theirs = loss('torch');
  return {
    ...{ model: model.name, batch: model.batch, threads, optimizer: model.optimizer.kind },
    ...{ ms, torchMs, timeRatio: ms / torchMs, cpuRatio: cpuMs / torchCpuMs },
    ...{ peakMB, torchPeakMB, memoryRatio: peakMB / torchPeakMB },
    // Without what a process has when it has loaded its libraries: PyTorch's build for GPUs has half a gigabyte of these.
    grownRatio: (peakMB - sides.ours.startBytes / 1e6) / (torchPeakMB - sides.torch.startBytes / 1e6),
    // The first losses of both: forward and backward pass and optimiser do the same thing.
    lossDifference: Math.max(...loss('ours').map((value, i) => Math.abs(value / (theirs[i] as number) - 1))),
    torch: sides.torch.version,
    slowest: await profileSteps(job, stopped.signal),
  };
}

function verdictOf(rows: readonly Row[]): Readonly<Record<string, Figure>> {
  const worst = (key: string): number => Math.max(...rows.map((row) => row[key] as number));
  return {
    timeRatio: atMost(worst('timeRatio'), BOUNDS.time),
    memoryRatio: atMost(worst('memoryRatio'), BOUNDS.memory),
    lossDifference: atMost(worst('lossDifference'), BOUNDS.loss),
  };
}

/** Rows of networks that are not measured now, from the last results. */
async function keptRows(measured: ReadonlySet<string>): Promise<Row[]> {
  const text = await readFile(join(packageRoot, 'bench', 'results', 'train.json'), 'utf8').catch(() => '{"rows":[]}');
  return (JSON.parse(text) as { rows: Row[] }).rows.filter(({ model }) => !measured.has(model as string));
}

const { positionals: wanted, values: given } = parseArgs({
  allowPositionals: true,
  options: { threads: { type: 'string' }, rounds: { type: 'string' } },
});
const threadCounts = given.threads?.split(',').map(Number) ?? THREADS;
const rounds = Number(given.rounds ?? ROUNDS);
const models = wanted.length > 0 ? MODELS.filter(({ name }) => wanted.includes(name)) : MODELS;
if (models.length === 0) throw new Error(`no such model; there are: ${MODELS.map(({ name }) => name).join(', ')}`);
const folder = await mkdtemp(join(tmpdir(), 'tierbed-train-'));
try {
  const rows: Row[] = wanted.length > 0 ? await keptRows(new Set(models.map(({ name }) => name))) : [];
  for (const model of models) {
    for (const threads of threadCounts) {
      rows.push(await measure(model, threads, join(folder, model.name)));
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    }
  }
  const order = MODELS.map(({ name }) => name);
  rows.sort((a, b) => order.indexOf(a.model as string) - order.indexOf(b.model as string));
  await report('train', rows, verdictOf(rows));
} finally {
  await rm(folder, { recursive: true, force: true });
}
