// One fresh process of bench:cold: makes one session and runs it. Prints ColdTimes as JSON.
import * as ort from 'onnxruntime-node';
import { Random } from '../base/random.js';
import { median } from './report.js';

export interface ColdTimes {
  /** Making the session from the file. */
  readonly loadMs: number;
  /** The run that follows, as a request that made its own session has it. */
  readonly firstRunMs: number;
  /** The median of the runs after that. */
  readonly warmRunMs: number;
}

const THREADS = 2;
const WARM_RUNS = 3;
const SEQUENCE = 128;

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

/** One item: a picture, or a text of full length. */
function itemFor(inputNames: readonly string[]): Record<string, ort.Tensor> {
  const random = new Random(1);
  if (inputNames.includes('input')) {
    const pixels = random.fillNormal(new Float32Array(3 * 224 * 224));
    return { input: new ort.Tensor('float32', pixels, [1, 3, 224, 224]) };
  }
  const elements = (value: () => bigint) => BigInt64Array.from({ length: SEQUENCE }, value);
  const byName: Record<string, BigInt64Array> = {
    input_ids: elements(() => BigInt(1000 + random.integer(20_000))),
    attention_mask: elements(() => 1n),
    token_type_ids: elements(() => 0n),
  };
  return Object.fromEntries(
    inputNames.map((name) => [name, new ort.Tensor('int64', byName[name] as BigInt64Array, [1, SEQUENCE])]),
  );
}

const [session, loadMs] = await timed(() =>
  ort.InferenceSession.create(process.argv[2] as string, { intraOpNumThreads: THREADS, interOpNumThreads: 1 }),
);
const item = itemFor(session.inputNames);
const [, firstRunMs] = await timed(() => session.run(item));
const warm: number[] = [];
for (let i = 0; i < WARM_RUNS; i++) warm.push((await timed(() => session.run(item)))[1]);
const times: ColdTimes = { loadMs, firstRunMs, warmRunMs: median(warm) };
process.stdout.write(JSON.stringify(times));
await session.release();
