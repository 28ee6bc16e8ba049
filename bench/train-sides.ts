import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../base/paths.js';
import type { OptimizerSpec } from '../operators/train/types.js';

/** What both sides are asked to train, as JSON in a file. */
export interface Job {
  /** Name of the network. */
  readonly model: string;
  /** A folder with `NAME.npy` of each parameter, as PyTorch's `state_dict` has it. */
  readonly weights: string;
  /** A folder with `NAME.npy` of each input, and `labels.npy`. */
  readonly batch: string;
  /** The model's file, and the batch as an item file (workloads/item-file.ts). */
  readonly onnx: string;
  readonly item: string;
  readonly optimizer: OptimizerSpec;
  readonly threads: number;
}

/** What a side answers when it has done some steps. */
export interface Steps {
  readonly ms: readonly number[];
  /** Processor time of all its threads. */
  readonly cpuMs: readonly number[];
  readonly loss: readonly number[];
  readonly peakMemoryBytes: number;
}

export type Side = 'ours' | 'torch';

const PYTHON = process.env.TIERBED_TRAIN_PYTHON ?? join(packageRoot, '.cache', 'train-peer', 'bin', 'python');
const COMMANDS: Readonly<Record<Side, readonly string[]>> = {
  ours: [process.execPath, fileURLToPath(new URL('./train-child.js', import.meta.url))],
  torch: [PYTHON, join(packageRoot, 'bench', 'peers', 'train.py')],
};

interface Ready {
  readonly version: string;
  readonly startBytes: number;
}

/** A process that holds a network, and trains it step by step when it is told to. */
export class TrainSide {
  readonly version: string;
  /** Peak memory when its libraries were loaded and nothing else. */
  readonly startBytes: number;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess, answers: AsyncIterator<string>, ready: Ready) {
    this.#child = child;
    this.#answers = answers;
    this.version = ready.version;
    this.startBytes = ready.startBytes;
  }

  /** Starts a side, and waits until it is ready. */
  static async start(side: Side, jobFile: string, signal: AbortSignal): Promise<TrainSide> {
    const [command, ...rest] = COMMANDS[side] as [string, ...string[]];
    if (!existsSync(command)) throw new Error(`${command} is not there: run bench/peers/setup-train.sh`);
    const child = spawn(command, [...rest, jobFile], { stdio: ['pipe', 'pipe', 'inherit'], signal });
    child.on('error', () => {});
    const answers = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[
      Symbol.asyncIterator
    ]();
    const first = await answers.next();
    if (first.done) throw new Error(`the ${side} side ended before it was ready`);
    return new TrainSide(child, answers, JSON.parse(first.value) as Ready);
  }

  /** Has it do some steps. */
  async steps(count: number): Promise<Steps> {
    this.#child.stdin?.write(`${JSON.stringify({ steps: count })}\n`);
    const answer = await this.#answers.next();
    if (answer.done) throw new Error('a side ended amid its steps');
    return JSON.parse(answer.value) as Steps;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await ended;
  }
}
