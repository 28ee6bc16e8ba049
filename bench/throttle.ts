// npm run bench:throttle: whether a container with a part of a CPU is as slow as its quota says, with Docker's own CFS period
// of 100 ms and with the short one that Tierbed sets. Needs Docker. One container for each limit, and one without, take
// turns; all idle but one. A batch of jobs counts when the rest of the machine was all but idle meanwhile: whoever else runs
// takes from an unlimited container what a limited one would not have got anyway, and the figures would be about that.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus as hostCpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { packageRoot } from '../base/paths.js';
import { createProgress } from '../cli/progress.js';
import { type CfsBandwidth, cfsBandwidth } from '../services/orchestrator/runtimes/docker/limits.js';
import { atMost, type Figure, median, type Row, report } from './report.js';
import type { JobOrder } from './throttle-job.js';

/** Quiet batches of each limit and length. */
const ROUNDS = Number(process.env.THROTTLE_ROUNDS ?? 8);
/** Of a machine that does not become quiet, the quietest batches count, and the table says how quiet they were. */
const MAX_MINUTES = Number(process.env.THROTTLE_MINUTES ?? 5);
/** What others may take of the machine, in cores. */
const QUIET_CORES = 0.15;
/** 5 ms, as short as one run of a small network; and 10 ms. */
const LENGTHS = [1, 2] as const;
/** Long enough that its first period is a small part of it. */
const BATCH_MS = 400;
const CPUS = [0.25, 0.5, 1];
const DEFAULT_PERIOD_US = 100_000;
const IMAGES = [process.env.TIERBED_IMAGE ?? 'tierbed', process.env.TIERBED_NODE_IMAGE ?? 'node:24-bookworm-slim'];
const NAME = `${process.env.TIERBED_BENCH_PREFIX ?? 'tierbed'}-throttle-${process.pid}`;
const run = promisify(execFile);

interface Limit {
  readonly cpus: number;
  readonly period: 'default' | 'short' | 'none';
  readonly cfs: CfsBandwidth | undefined;
}

const LIMITS: readonly Limit[] = [
  { cpus: 1, period: 'none', cfs: undefined },
  ...CPUS.flatMap((cpus): Limit[] => [
    { cpus, period: 'default', cfs: { periodUs: DEFAULT_PERIOD_US, quotaUs: DEFAULT_PERIOD_US * cpus } },
    { cpus, period: 'short', cfs: shortPeriod(cpus) },
  ]),
];

/** Tierbed's own, or `THROTTLE_PERIOD_US` to try another. */
function shortPeriod(cpus: number): CfsBandwidth {
  const periodUs = Number(process.env.THROTTLE_PERIOD_US ?? 0);
  return periodUs > 0 ? { periodUs, quotaUs: Math.max(1000, periodUs * cpus) } : cfsBandwidth(cpus);
}

interface Batch {
  readonly tookMs: readonly number[];
  /** Cores that somebody else used meanwhile. */
  readonly othersCores: number;
}

/** Core-milliseconds that the machine was busy since it started, and the time. */
function busyNow(): { busyMs: number; atMs: number } {
  const busyMs = hostCpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { busyMs, atMs: performance.now() };
}

/** A container that runs jobs when it is asked to. */
class Worker {
  readonly limit: Limit;
  readonly name: string;
  readonly #batches = new Map<number, Batch[]>(LENGTHS.map((length) => [length, []]));
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(image: string, limit: Limit, index: number) {
    this.limit = limit;
    this.name = `${NAME}-${index}`;
    const { cfs } = limit;
    const cpu = cfs ? ['--cpu-period', String(cfs.periodUs), '--cpu-quota', String(cfs.quotaUs)] : [];
    const mounts = ['dist', 'package.json'].flatMap((file) => ['-v', `${join(packageRoot, file)}:/job/${file}:ro`]);
    const what = ['--entrypoint', 'node', image, '/job/dist/bench/throttle-job.js'];
    this.#child = spawn(
      'docker',
      ['run', '-i', '--rm', '--init', '--network', 'none', '--name', this.name, ...cpu, ...mounts, ...what],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    this.#lines = createInterface({ input: this.#child.stdout as NonNullable<ChildProcess['stdout']> })[
      Symbol.asyncIterator
    ]();
  }

  async next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the container ${this.name} ended`);
    return value;
  }

  async batch(length: number): Promise<void> {
    const share = this.limit.cfs ? this.limit.cfs.quotaUs / this.limit.cfs.periodUs : 1;
    const order: JobOrder = { jobs: Math.ceil((BATCH_MS * Math.min(1, share)) / (5 * length)) + 10, length };
    const from = busyNow();
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    const tookMs = JSON.parse(await this.next()) as number[];
    const to = busyNow();
    const othersCores = (to.busyMs - from.busyMs) / (to.atMs - from.atMs) - Math.min(1, share);
    this.#batches.get(length)?.push({ tookMs, othersCores: Math.max(0, othersCores) });
  }

  quietBatches(length: number): number {
    return this.#batches.get(length)?.filter(({ othersCores }) => othersCores <= QUIET_CORES).length ?? 0;
  }

  /** The quietest batches of a length: the times in them, and what others took at most. */
  quietest(length: number): Batch {
    const batches = (this.#batches.get(length) ?? [])
      .toSorted((a, b) => a.othersCores - b.othersCores)
      .slice(0, ROUNDS);
    return { tookMs: batches.flatMap(({ tookMs }) => tookMs), othersCores: batches.at(-1)?.othersCores ?? 0 };
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }
}

/** The project's image when it is built, else the one that it is built on. */
async function findImage(): Promise<string> {
  for (const image of IMAGES) {
    const found = await run('docker', ['image', 'inspect', image]).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new Error('bench:throttle needs Docker: there is no `docker` here');
      return undefined;
    });
    if (found) return image;
  }
  throw new Error(`bench:throttle needs Docker and one of the images ${IMAGES.join(', ')}`);
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] as number;
}

const image = await findImage();
const progress = createProgress();
const workers = LIMITS.map((limit, i) => new Worker(image, limit, i));
const stop = (): void => {
  for (const { name } of workers) spawn('docker', ['kill', name], { stdio: 'ignore', detached: true }).unref();
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stop();
    process.exit(130);
  });
}
try {
  for (const worker of workers) await worker.next();
  const wanted = ROUNDS * LENGTHS.length * workers.length;
  const untilMs = performance.now() + MAX_MINUTES * 60_000;
  progress.start(`jobs in ${image}`, wanted);
  for (let quiet = 0, round = 0; quiet < wanted && performance.now() < untilMs; round++) {
    for (const length of LENGTHS) {
      for (const worker of round % 2 ? workers.toReversed() : workers) {
        if (worker.quietBatches(length) < ROUNDS) await worker.batch(length);
      }
    }
    const each = workers.flatMap((worker) => LENGTHS.map((length) => Math.min(ROUNDS, worker.quietBatches(length))));
    quiet = each.reduce((sum, count) => sum + count, 0);
    progress.update(quiet);
  }
  progress.stop();
} catch (error) {
  stop();
  throw error;
} finally {
  await Promise.all(workers.map((worker) => worker.close()));
}

const rows: Row[] = [];
const verdict: Record<string, Figure> = {};
for (const length of LENGTHS) {
  const own = median((workers[0] as Worker).quietest(length).tookMs);
  for (const worker of workers) {
    const { limit } = worker;
    const { tookMs: times, othersCores } = worker.quietest(length);
    const [p50, p90] = [median(times), quantile(times, 0.9)];
    const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length;
    const offBy = Math.abs((p50 / own) * limit.cpus - 1);
    rows.push({
      jobMs: own,
      cpus: limit.cpus,
      period: limit.period,
      periodMs: limit.cfs ? limit.cfs.periodUs / 1000 : null,
      jobs: times.length,
      p50Ms: p50,
      p90Ms: p90,
      meanMs: mean,
      slowdown: p50 / own,
      quotaSays: 1 / limit.cpus,
      slowdownOfMean: mean / own,
      p90OverP50: p90 / p50,
      othersCores,
    });
    if (limit.period !== 'short') continue;
    const what = `${limit.cpus} CPU, ${5 * length} ms job`;
    verdict[`${what}: median slowdown off by`] = atMost(offBy, 0.1);
    verdict[`${what}: p90 over median`] = atMost(p90 / p50, 1.5);
  }
}
await report('throttle', rows, verdict);
