import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { packageRoot } from '../base/paths.js';
import { openModel } from '../onnx/runtime/session.js';
import type { Setting } from './quantise-models.js';
import { median } from './report.js';

/** What each side is asked to do, as JSON in a file. */
export interface Job {
  readonly model: string;
  /** A folder with the same items for both: `0000.item` (workloads/item-file.ts), and `0000.INPUT.npy` of each input. */
  readonly calibration: string;
  /** Where the quantised model goes. */
  readonly outDir: string;
  readonly setting: Setting;
}

/** What a side answers on its standard output. */
export interface Quantised {
  readonly path: string;
  readonly peakMemoryBytes: number;
}

/** What a side made, and what that took, as whole processes. */
export interface Made {
  readonly path: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly peakMemoryBytes: number;
}

/** `compressor` is Intel's Neural Compressor, where it is installed. */
export type Side = 'ours' | 'python' | 'compressor';

const CHILD = fileURLToPath(new URL('./quantise-child.js', import.meta.url));
const PYTHON = process.env.TIERBED_QUANTISE_PYTHON ?? join(packageRoot, '.cache', 'quantise-peer', 'bin', 'python');
const COMPRESSOR =
  process.env.TIERBED_COMPRESSOR_PYTHON ?? join(packageRoot, '.cache', 'compressor-peer', 'bin', 'python');
const COMMANDS: Readonly<Record<Side, readonly [string, string]>> = {
  ours: [process.execPath, CHILD],
  python: [PYTHON, join(packageRoot, 'bench', 'peers', 'quantise.py')],
  compressor: [COMPRESSOR, join(packageRoot, 'bench', 'peers', 'compressor.py')],
};
const run = promisify(execFile);

/**
 * Has the sides do the same job a few times, in turn, each in a process of its own: medians of times and peaks.
 *
 * @returns of each side what it made, or why it made nothing that runs; undefined of one that was not asked
 */
export async function quantiseAll(
  job: Omit<Job, 'outDir'>,
  folder: string,
  repeats: number,
  signal: AbortSignal,
  asked: readonly Side[] = ['ours', 'python', 'compressor'],
): Promise<Readonly<Record<Side, Made | Error | undefined>>> {
  const results: Record<Side, { seconds: number; result: Quantised }[]> = { ours: [], python: [], compressor: [] };
  const withCompressor = asked.includes('compressor') && job.setting.operator === 'sptq' && existsSync(COMPRESSOR);
  const failed: Partial<Record<Side, Error>> = {};
  for (let repeat = 0; repeat < repeats; repeat++) {
    const sides: Side[] = repeat % 2 === 0 ? ['ours', 'python'] : ['python', 'ours'];
    // No bound is stated against it: once is enough.
    if (withCompressor && repeat === 0) sides.push('compressor');
    for (const side of sides) {
      if (failed[side]) continue;
      const outDir = join(folder, side);
      await rm(outDir, { recursive: true, force: true });
      await mkdir(outDir, { recursive: true });
      const jobFile = join(folder, `${side}.json`);
      await writeFile(jobFile, JSON.stringify({ ...job, outDir }));
      const [command, script] = COMMANDS[side];
      const startMs = performance.now();
      try {
        const { stdout } = await run(command, [script, jobFile], { signal, maxBuffer: 1 << 26 });
        const seconds = (performance.now() - startMs) / 1000;
        results[side].push({ seconds, result: JSON.parse(stdout.trim().split('\n').at(-1) as string) as Quantised });
      } catch (error) {
        if (signal.aborted) throw error;
        const { stderr, message } = error as Error & { stderr?: string };
        failed[side] = new Error(stderr?.trim().split('\n').slice(-3).join(' ') || message);
      }
    }
  }
  const made = async (side: Side): Promise<Made | Error> => {
    const all = results[side];
    const path = all.at(-1)?.result.path;
    if (failed[side] || path === undefined) return failed[side] ?? new Error('no result');
    try {
      await (await openModel(path)).close();
    } catch (error) {
      return error as Error;
    }
    return {
      path,
      bytes: (await stat(path)).size,
      seconds: median(all.map(({ seconds }) => seconds)),
      peakMemoryBytes: median(all.map(({ result }) => result.peakMemoryBytes)),
    };
  };
  return {
    ours: await made('ours'),
    python: await made('python'),
    compressor: withCompressor ? await made('compressor') : undefined,
  };
}
