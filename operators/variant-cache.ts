import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { diskError } from '../base/disk-error.js';
import { TierbedError } from '../base/errors.js';
import { makeBuildingFolder, removeAbandoned } from './building-folder.js';
import { hashFile, type Made, type ModelFile, type StageModel, type Step, type Variant } from './variant.js';

/** What a step made, and what it took. */
export interface KeptStep {
  readonly tookMs: number;
  readonly made: readonly Made[];
}

/** The file that says what a step made, in its folder. */
export const ENTRY = 'variants.json';

/** As it is in the file: paths relative to the folder, and of the names what the step added to its variant's. */
interface Entry {
  readonly tookMs: number;
  readonly made: readonly (Omit<Made, 'name'> & ({ readonly adds: string } | { readonly name: string }))[];
}

/**
 * A hash of everything that what a step makes depends on. What a variant is called is not: recipes with the same
 * beginning share it.
 *
 * @param data hashes of the parts of the data that the step reads
 */
export function stepKey(
  workload: string,
  variant: Variant,
  step: Step,
  version: number,
  data: readonly string[],
): string {
  const stages = variant.stages.map(({ files, ...rest }) => ({
    ...rest,
    files: files.map(({ name, sha256 }) => [name, sha256]),
  }));
  const steps = variant.steps.map(({ operator, options, version }) => ({ operator, options, version }));
  const input = { stages, steps, workload, step: { operator: step.operator, options: step.options }, version, data };
  return createHash('sha256').update(JSON.stringify(input, sorted)).digest('hex').slice(0, 40);
}

/** For `JSON.stringify`: the keys of a map in one order, whatever order they were written in. */
function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What is kept in a folder, named after a variant; undefined when it is not there or a file of it is not what it was. */
export async function readKept(folder: string, variant: Variant): Promise<KeptStep | undefined> {
  try {
    const { tookMs, made } = JSON.parse(await readFile(join(folder, ENTRY), 'utf8')) as Entry;
    const named = made.map(({ stages, facts, ...rest }): Made => {
      const name = 'adds' in rest ? variant.name + rest.adds : rest.name;
      return { name, stages: moved(stages, (path) => resolve(folder, path)), ...(facts && { facts }) };
    });
    for (const { path, sha256 } of named.flatMap(({ stages }) => stages.flatMap(({ files }) => files))) {
      if ((await hashFile(path)).sha256 !== sha256) return undefined;
    }
    return { tookMs, made: named };
  } catch {
    return undefined;
  }
}

/**
 * Has a step made in a folder of its own, which gets its name when it is whole: nothing else is ever found under it,
 * whatever happens meanwhile.
 *
 * @param cache the folder that the others are in; made when it is not there
 * @throws TierbedError `exhausted` when the disk is full, `refused` when the cache cannot be written; what `make` throws
 */
export async function keepStep(
  cache: string,
  key: string,
  variant: Variant,
  make: (outDir: string) => Promise<KeptStep>,
): Promise<KeptStep> {
  const written = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw diskError(error, `the cache ${cache}`, FIXES);
    });
  await written(mkdir(cache, { recursive: true }));
  await removeAbandoned(cache);
  const building = await written(makeBuildingFolder(cache));
  const outDir = building.path;
  const inFolder = (path: string): string => {
    const inside = relative(outDir, path);
    return inside.startsWith('..') || isAbsolute(inside) ? path : inside;
  };
  const folder = join(cache, key);
  try {
    const { tookMs, made } = await make(outDir);
    const entry: Entry = {
      tookMs,
      made: made.map(({ name, ...rest }) => ({
        ...rest,
        ...(name.startsWith(variant.name) ? { adds: name.slice(variant.name.length) } : { name }),
        stages: moved(rest.stages, inFolder),
      })),
    };
    await written(writeFile(join(outDir, ENTRY), JSON.stringify(entry, null, 2)));
    await written(publish(outDir, folder, variant));
    const toFolder = (path: string): string => resolve(folder, inFolder(path));
    return { tookMs, made: made.map((one) => ({ ...one, stages: moved(one.stages, toFolder) })) };
  } catch (error) {
    throw fullDisk(error, cache);
  } finally {
    await building.remove();
  }
}

const FIXES = {
  full: 'Free some space there, or set TIERBED_CACHE to a folder with more room.',
  place: 'Set TIERBED_CACHE to a folder that can be written to.',
};

/** A disk that was full while an operator wrote to its folder, in whatever words that came. */
function fullDisk(error: unknown, cache: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const raw = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  if (!raw && !(error instanceof TierbedError && error.kind === 'exhausted')) return error;
  return new TierbedError('exhausted', `there is no room left in the cache ${cache}`, {
    fix: FIXES.full,
    cause: error,
  });
}

/** Gives a built folder its name, unless another process was first: what that built is as good, if it is whole. */
async function publish(built: string, folder: string, variant: Variant): Promise<void> {
  const taken = (error: NodeJS.ErrnoException): true => {
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return true;
    throw error;
  };
  if (!(await rename(built, folder).catch(taken))) return;
  if (await readKept(folder, variant)) return;
  await rm(folder, { recursive: true, force: true });
  await rename(built, folder).catch(taken);
}

/** Stages with every file's path replaced. */
function moved(stages: readonly StageModel[], move: (path: string) => string): StageModel[] {
  const file = (f: ModelFile): ModelFile => ({ ...f, path: move(f.path) });
  return stages.map((stage) => ({ ...stage, files: stage.files.map(file) }));
}
