import { createReadStream } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlanFile } from '../plan/plan-file.js';
import { RESULT_FILES } from '../results/results-folder.js';
import type { SampleCount } from './api.js';

/** Whether a results folder holds a run that was planned, so that it can be resumed. */
export function holdsPlan(results: string): Promise<boolean> {
  return access(join(results, RESULT_FILES.plan)).then(
    () => true,
    () => false,
  );
}

/** How many samples of a run are on disk; null when it was not planned yet. */
export async function countSamples(results: string): Promise<SampleCount | null> {
  const plan = await readFile(join(results, RESULT_FILES.plan), 'utf8').catch(() => undefined);
  if (plan === undefined) return null;
  const lines = await countLines(join(results, RESULT_FILES.samples));
  return { recorded: Math.max(0, lines - 1), planned: (JSON.parse(plan) as PlanFile).samples };
}

/** Whole lines of a file: a row of samples.csv is one, the heading another. 0 when there is no file. */
async function countLines(path: string): Promise<number> {
  let lines = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return lines;
}
