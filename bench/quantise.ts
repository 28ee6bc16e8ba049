// npm run bench:quantise: Tierbed's quantisation beside Python's onnxruntime.quantization: the same model, calibration
// items, method, format and granularity. Needs TIERBED_DATA and bench/peers/setup-quantise.sh. Names of models measure
// these alone and leave the other rows as they are.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../base/paths.js';
import { createProgress } from '../cli/progress.js';
import { runTimes } from '../onnx/runtime/run-times.js';
import type { DenseTensor, NamedTensor } from '../onnx/tensor.js';
import { Chain } from '../operators/chain.js';
import { evaluate } from '../operators/evaluate.js';
import { describeModel } from '../operators/model-files.js';
import { encodeItemFile } from '../workloads/item-file.js';
import { postprocess } from '../workloads/postprocess/index.js';
import { preparedItems, type UnreadableItem } from '../workloads/prepared.js';
import type { Workload, WorkloadItem, WorkloadPart } from '../workloads/types.js';
import { writeNpy } from './npy.js';
import { type BenchModel, MODELS, type Setting } from './quantise-models.js';
import { type Made, quantiseAll } from './quantise-sides.js';
import { atMost, type Figure, median, type Row, report } from './report.js';

const REPEATS = 3;
/** Latency is that of one thread: more would measure what else the machine does. */
const THREADS = 1;
const TIMED_ITEMS = 8;
/** Items whose outputs are compared with the float model's. */
const COMPARED_ITEMS = 100;
const BOUNDS = { accuracyPoints: 0.3, latency: 1.03, size: 1.02, time: 1, memory: 1 } as const;

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());

/** Inputs of the first items of a part. */
async function inputsOf(workload: Workload, part: WorkloadPart, count: number): Promise<(readonly NamedTensor[])[]> {
  const found: (readonly NamedTensor[])[] = [];
  for await (const { inputs } of preparedItems(workload, part, () => {}, stopped.signal)) {
    found.push(inputs);
    if (found.length === count) break;
  }
  return found;
}

/** Writes calibration items in the formats of both sides. */
async function writeCalibration(workload: Workload, folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const items = await inputsOf(workload, 'calibration', Number.POSITIVE_INFINITY);
  for (const [i, inputs] of items.entries()) {
    const stem = join(folder, String(i).padStart(4, '0'));
    const dense = inputs as readonly { name: string; tensor: DenseTensor }[];
    await writeFile(`${stem}.item`, encodeItemFile(dense));
    for (const { name, tensor } of dense) await writeNpy(`${stem}.${name}.npy`, tensor);
  }
  return items.length;
}

/** The workload with what its float model answers as labels: accuracy is then agreement with it. */
async function labelledByFloat(workload: Workload): Promise<Workload> {
  const labels = new Map<string, string>();
  const chain = await Chain.open([await describeModel(workload.modelPath)]);
  try {
    for await (const { id, inputs } of preparedItems(workload, 'evaluation', () => {}, stopped.signal)) {
      labels.set(id, postprocess(workload.postprocess, (await chain.run(inputs)).outputs));
    }
  } finally {
    await chain.close();
  }
  return { ...workload, items: workload.items.map((item) => ({ ...item, label: labels.get(item.id) ?? '' })) };
}

async function accuracyOf(workload: Workload, path: string): Promise<number> {
  const { value } = await evaluate(workload, [await describeModel(path)], 'evaluation', {
    ...{ progress: createProgress(), signal: stopped.signal },
  });
  return 100 * (value ?? Number.NaN);
}

/** Mean squared difference of a variant's outputs from the float model's, over these outputs' mean square. */
async function errorOf(workload: Workload, path: string): Promise<number> {
  const items = await inputsOf(workload, 'evaluation', COMPARED_ITEMS);
  const [float, variant] = await Promise.all(
    [workload.modelPath, path].map(async (each) => Chain.open([await describeModel(each)])),
  );
  let [error, power] = [0, 0];
  try {
    for (const inputs of items) {
      const [expected, actual] = [
        await firstOutput(float as Chain, inputs),
        await firstOutput(variant as Chain, inputs),
      ];
      for (const [i, value] of expected.entries()) {
        error += (value - (actual[i] as number)) ** 2;
        power += value ** 2;
      }
    }
  } finally {
    await Promise.all([float?.close(), variant?.close()]);
  }
  return error / power;
}

async function firstOutput(chain: Chain, inputs: readonly NamedTensor[]): Promise<Float32Array> {
  const [first] = (await chain.run(inputs)).outputs as readonly [NamedTensor];
  const { data } = first.tensor as DenseTensor;
  return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
}

function nameOf({ operator, method, format, perChannel }: Setting): string {
  return [operator, method, format, perChannel ? 'per channel' : 'per tensor'].filter(Boolean).join(' ');
}

/** The workload with its inputs ready and in memory: they are evaluated on time and again. */
async function inMemory(workload: Workload): Promise<Workload> {
  const ready = async (part: WorkloadPart): Promise<WorkloadItem[]> => {
    const items: WorkloadItem[] = [];
    const unreadable = ({ id, reason }: UnreadableItem): void => {
      throw new Error(`${id}: ${reason}`);
    };
    for await (const { id, label, inputs } of preparedItems(workload, part, unreadable, stopped.signal)) {
      const bytes = encodeItemFile(inputs as readonly { name: string; tensor: DenseTensor }[]);
      items.push({ id, label, read: async () => bytes });
    }
    return items;
  };
  const [items, calibration] = [await ready('evaluation'), await ready('calibration')];
  return { ...workload, items, calibration, preprocess: { kind: 'tensors' } };
}

async function loaded(model: BenchModel, folder: string, draw: number): Promise<Workload> {
  const workload = await inMemory(await model.load(folder, draw));
  return model.labelled ? workload : labelledByFloat(workload);
}

/** Accuracies on the other draws of the data: of the float model, ours and Python's, each quantised anew. */
async function otherDraws(model: BenchModel, setting: Setting, folder: string): Promise<(readonly number[])[]> {
  const found: (readonly number[])[] = [];
  for (let draw = 1; draw < (model.draws ?? 1); draw++) {
    const workload = await loaded(model, folder, draw);
    const calibration = join(folder, model.name, `calibration-${draw}`);
    await writeCalibration(workload, calibration);
    const job = { model: workload.modelPath, calibration, setting };
    const { ours, python } = await quantiseAll(job, join(folder, model.name), 1, stopped.signal, ['ours', 'python']);
    if (!ours || !python || ours instanceof Error || python instanceof Error) throw ours ?? python;
    const paths = [workload.modelPath, ours.path, python.path];
    const scores: number[] = [];
    for (const path of paths) scores.push(await accuracyOf(workload, path));
    process.stderr.write(`draw ${draw}: float ${scores[0]}, ours ${scores[1]}, Python's ${scores[2]}\n`);
    found.push(scores);
  }
  return found;
}

async function measure(model: BenchModel, folder: string): Promise<Row[]> {
  const workload = await loaded(model, folder, 0);
  const calibration = join(folder, model.name, 'calibration');
  const items = await writeCalibration(workload, calibration);
  const floatAccuracy = await accuracyOf(workload, workload.modelPath);
  const timed = await inputsOf(workload, 'evaluation', TIMED_ITEMS);
  const rows: Row[] = [];
  for (const setting of model.settings) {
    const job = { model: workload.modelPath, calibration, setting };
    const { ours, python, compressor } = await quantiseAll(job, join(folder, model.name), REPEATS, stopped.signal);
    const head = {
      ...{ model: model.name, setting: nameOf(setting), calibrationItems: items, items: workload.items.length },
      ...{ measure: model.labelled ? 'top1' : 'agreement', floatAccuracy },
    };
    const failure = Object.entries({ ours, python, compressor }).flatMap(([name, side]) =>
      side instanceof Error ? [`${name}: ${side.message.replaceAll(folder, '')}`.slice(0, 160)] : [],
    );
    const sides = [ours, python, compressor].map((side) => (side instanceof Error ? undefined : side));
    const files = [workload.modelPath, ...sides.flatMap((side) => side?.path ?? [])];
    // Enough runs for a median that holds to a percent, in a few seconds.
    const [probe] = await runTimes([{ path: workload.modelPath, inputs: timed }], { threads: THREADS, runs: 5 });
    const runs = Math.min(400, Math.max(40, Math.ceil(6000 / median(probe as number[]))));
    const times = await runTimes(
      files.map((path) => ({ path, inputs: timed })),
      { threads: THREADS, runs, warmUp: 5, signal: stopped.signal },
    );
    const timesOf = (side: Made | undefined): readonly number[] => (side && times[files.indexOf(side.path)]) ?? [];
    const latency = (side: Made | undefined): number | null => (side ? median(timesOf(side)) : null);
    const accuracy = async (side: Made | undefined) => (side ? await accuracyOf(workload, side.path) : null);
    const error = async (side: Made | undefined) => (side ? await errorOf(workload, side.path) : null);
    const [mine, theirs, others] = sides;
    const first = [floatAccuracy, await accuracy(mine), await accuracy(theirs), await accuracy(others)];
    const errors = [await error(mine), await error(theirs), await error(others)];
    // Last: they write over the models of the first draw.
    const more = mine && theirs ? await otherDraws(model, setting, folder) : [];
    const [float, own, their] = first
      .slice(0, 3)
      .map((score, i) => mean([score, ...more.map((scores) => scores[i] ?? null)])) as [
      number,
      number | null,
      number | null,
    ];
    rows.push({
      ...head,
      ...{ draws: 1 + more.length, floatAccuracy: float, accuracy: own, pythonAccuracy: their },
      ...{ error: errors[0] ?? null, pythonError: errors[1] ?? null },
      ...{ floatMs: median(times[0] as readonly number[]), ms: latency(mine), pythonMs: latency(theirs) },
      // Of runs of the same round: what disturbs the machine for longer meets both.
      latencyRatio: mine && theirs ? median(timesOf(mine).map((ms, i) => ms / (timesOf(theirs)[i] as number))) : null,
      ...{ kB: kilo(mine?.bytes), pythonKB: kilo(theirs?.bytes) },
      ...{ quantiseS: mine?.seconds ?? null, pythonQuantiseS: theirs?.seconds ?? null },
      ...{ peakMB: mega(mine?.peakMemoryBytes), pythonPeakMB: mega(theirs?.peakMemoryBytes) },
      ...(others && {
        ...{ compressorAccuracy: first[3] ?? null, compressorError: errors[2] ?? null },
        ...{ compressorMs: latency(others), compressorKB: kilo(others.bytes), compressorS: others.seconds },
        compressorPeakMB: mega(others.peakMemoryBytes),
      }),
      // Who wants all of it runs that side alone.
      ...{ failed: failure.join('; ') || null },
    });
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  return rows;
}

/** The mean; null where one is missing. */
function mean(values: readonly (number | null)[]): number | null {
  return values.some((value) => value === null)
    ? null
    : values.reduce<number>((sum, value) => sum + (value as number), 0) / values.length;
}

const kilo = (bytes: number | undefined): number | null => (bytes === undefined ? null : bytes / 1000);
const mega = (bytes: number | undefined): number | null => (bytes === undefined ? null : bytes / 1e6);

/** The worst of all rows in which both sides have a figure. */
function worst(
  rows: readonly Row[],
  figure: (mine: number, theirs: number) => number,
  key: string,
  other: string,
): number {
  const found = rows.flatMap((row) => {
    const [mine, theirs] = [row[key], row[other]];
    return typeof mine === 'number' && typeof theirs === 'number' ? [figure(mine, theirs)] : [];
  });
  return found.length > 0 ? Math.max(...found) : Number.NaN;
}

function verdictOf(rows: readonly Row[]): Readonly<Record<string, Figure>> {
  const ratio = (mine: number, theirs: number): number => mine / theirs;
  const lost = (mine: number, theirs: number): number => theirs - mine;
  return {
    accuracyPointsLost: atMost(worst(rows, lost, 'accuracy', 'pythonAccuracy'), BOUNDS.accuracyPoints),
    latencyRatio: atMost(
      worst(rows, (ratioOfRounds) => ratioOfRounds, 'latencyRatio', 'pythonMs'),
      BOUNDS.latency,
    ),
    sizeRatio: atMost(worst(rows, ratio, 'kB', 'pythonKB'), BOUNDS.size),
    timeRatio: atMost(worst(rows, ratio, 'quantiseS', 'pythonQuantiseS'), BOUNDS.time),
    memoryRatio: atMost(worst(rows, ratio, 'peakMB', 'pythonPeakMB'), BOUNDS.memory),
    failedOfOurs: atMost(rows.filter(({ ms }) => ms === null).length, 0),
  };
}

/** Rows of models that are not measured now, from the last results. */
async function keptRows(measured: ReadonlySet<string>): Promise<Row[]> {
  const text = await readFile(join(packageRoot, 'bench', 'results', 'quantise.json'), 'utf8').catch(
    () => '{"rows":[]}',
  );
  return (JSON.parse(text) as { rows: Row[] }).rows.filter(({ model }) => !measured.has(model as string));
}

const wanted = process.argv.slice(2);
const models = wanted.length > 0 ? MODELS.filter(({ name }) => wanted.includes(name)) : MODELS;
if (models.length === 0) throw new Error(`no such model; there are: ${MODELS.map(({ name }) => name).join(', ')}`);
const folder = await mkdtemp(join(tmpdir(), 'tierbed-quantise-'));
try {
  const rows: Row[] = wanted.length > 0 ? await keptRows(new Set(models.map(({ name }) => name))) : [];
  for (const model of models) rows.push(...(await measure(model, folder)));
  const order = MODELS.map(({ name }) => name);
  rows.sort((a, b) => order.indexOf(a.model as string) - order.indexOf(b.model as string));
  await report('quantise', rows, verdictOf(rows));
} finally {
  await rm(folder, { recursive: true, force: true });
}
