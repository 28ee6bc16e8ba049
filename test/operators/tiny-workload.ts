import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Workload } from '../../workloads/types.js';
import { loadWorkloadFile } from '../../workloads/workload-file.js';
import { writeTinyStudy } from '../services/orchestrator/tiny-study.js';

/** Writes the tiny study's workload into a folder, as a file of its own, and gives that file's path. */
export async function writeTinyWorkload(folder: string, pictures = 4): Promise<string> {
  const study = parse(await readFile(await writeTinyStudy(folder, {}, pictures), 'utf8')) as {
    workloads: { tiny: object };
  };
  const path = join(folder, 'tiny-workload.yaml');
  await writeFile(path, stringify(study.workloads.tiny));
  return path;
}

/** The tiny workload, whose calibration part is its first two pictures. */
export async function tinyWorkload(folder: string): Promise<Workload> {
  const workload = await loadWorkloadFile(await writeTinyWorkload(folder));
  return { ...workload, items: workload.items.slice(2), calibration: workload.items.slice(0, 2) };
}
