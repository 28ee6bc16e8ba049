import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { access, constants, mkdir, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { undoOnExit } from '../base/clean-up.js';
import { diskError } from '../base/disk-error.js';
import { TierbedError } from '../base/errors.js';
import { makeBuildingFolder, removeAbandoned } from './building-folder.js';
import { CURVE_FILE } from './train/step-curves.js';

export const MANIFEST_FILE = 'manifest.json';

/** A folder that is filled under another name, and there at once when it is whole. */
export interface OutputFolder {
  /** Where it is filled. */
  readonly building: string;
  /** Gives it its name. @throws TierbedError `exhausted` or `refused` */
  publish(): Promise<void>;
  /** Removes what was not published, and the folders that were made for it. */
  discard(): Promise<void>;
}

/**
 * Prepares the folder for what a recipe makes.
 *
 * @param force replaces what a recipe made there before; nothing else is ever removed
 * @throws TierbedError `refused` when the folder is not empty, or cannot be written
 */
export async function prepareOutput(dir: string, force: boolean): Promise<OutputFolder> {
  const named = resolve(dir);
  const target = await realpath(named).catch(() => named);
  const entries = await entriesOf(target, dir);
  if (entries.length > 0) await assertReplaceable(target, dir, force);
  return writing(dir, async () => {
    const parent = dirname(target);
    const made = await mkdir(parent, { recursive: true });
    const forget = undoOnExit(() => removeEmpty(parent, made));
    const inside = await mustStayInPlace(target);
    const holder = inside ? target : parent;
    const prefix = inside ? 'building' : `building-${basename(target)}`;
    await removeAbandoned(holder, prefix);
    const around = await makeBuildingFolder(holder, prefix);
    // One more folder, made like any other: that around it is for its owner's eyes alone.
    const building = join(around.path, 'new');
    await mkdir(building);
    return {
      building,
      async publish() {
        await writing(dir, async () => (inside ? moveInto : swap)(building, target, join(around.path, 'old')));
        await around.remove();
      },
      async discard() {
        await around.remove();
        removeEmpty(parent, made);
        forget();
      },
    };
  });
}

async function entriesOf(target: string, dir: string): Promise<string[]> {
  try {
    return (await readdir(target)).filter((name) => !name.startsWith('building-'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code !== 'ENOTDIR') throw diskError(error, dir, FIXES);
    throw new TierbedError('refused', `${dir} is a file`, { fix: 'Give the name of a folder with --out.' });
  }
}

async function assertReplaceable(target: string, dir: string, force: boolean): Promise<void> {
  const others = await otherEntries(target);
  if (!force) {
    const fix = others.length > 0 ? '' : ', or replace the variant that is there with --force';
    throw new TierbedError('refused', `${dir} is not empty`, { fix: `Give another folder with --out${fix}.` });
  }
  if (others.length === 0) return;
  const named = others.slice(0, 3).join(', ') + (others.length > 3 ? ` and ${others.length - 3} more` : '');
  throw new TierbedError('refused', `${dir} holds what no recipe made: ${named}`, {
    fix: 'Give another folder with --out: --force replaces variants, and nothing else.',
  });
}

/** What is in a folder beside the variant, or the variants' folders, that a recipe made there. */
async function otherEntries(folder: string): Promise<string[]> {
  const own = await ownEntries(folder);
  const others: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (own?.has(entry.name) || (own && CURVE_FILE.test(entry.name)) || entry.name.startsWith('building-')) continue;
    const path = join(folder, entry.name);
    const variant = own === undefined && entry.isDirectory() && (await ownEntries(path)) !== undefined;
    if (!variant) others.push(entry.name);
    else others.push(...(await otherEntries(path)).map((name) => join(entry.name, name)));
  }
  return others;
}

/** The entries of a variant's folder; undefined where there is no manifest. */
async function ownEntries(folder: string): Promise<Set<string> | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, MANIFEST_FILE), 'utf8')) as {
      readonly stages: readonly { readonly files: readonly { readonly name: string }[] }[];
    };
    const files = manifest.stages.flatMap(({ files }) => files.map(({ name }) => name.split('/')[0] as string));
    return new Set([MANIFEST_FILE, ...files]);
  } catch {
    return undefined;
  }
}

/** Whether a folder cannot be replaced by another one: it is a mount point, someone stands in it, or only it is ours. */
async function mustStayInPlace(target: string): Promise<boolean> {
  const parent = dirname(target);
  const found = await stat(target).catch(() => undefined);
  if (!found) return false;
  if (found.dev !== (await stat(parent)).dev) return true;
  if (`${process.cwd()}${sep}`.startsWith(`${target}${sep}`)) return true;
  return access(parent, constants.W_OK).then(
    () => false,
    () => true,
  );
}

/** All at once for this process: it cannot end between the two moves. */
function swap(building: string, target: string, aside: string): void {
  const filled = existsSync(target) && readdirSync(target).length > 0;
  if (filled) renameSync(target, aside);
  try {
    renameSync(building, target);
  } catch (error) {
    if (filled) renameSync(aside, target);
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    throw new TierbedError('refused', `${target} was filled by somebody else meanwhile`, {
      fix: 'Give another folder with --out.',
      cause: error,
    });
  }
}

/** The manifest goes first and comes last: while it is away, there is no variant. */
function moveInto(building: string, target: string): void {
  rmSync(join(target, MANIFEST_FILE), { force: true });
  for (const name of readdirSync(target)) {
    if (!name.startsWith('building-')) rmSync(join(target, name), { recursive: true, force: true });
  }
  const names = readdirSync(building);
  for (const name of names.sort((a, b) => Number(a === MANIFEST_FILE) - Number(b === MANIFEST_FILE))) {
    renameSync(join(building, name), join(target, name));
  }
}

/** Removes a folder and those around it that it was made with, as far as they are empty; none when none was made. */
function removeEmpty(folder: string, outermost: string | undefined): void {
  if (outermost === undefined) return;
  for (let at = folder; at.startsWith(outermost); at = dirname(at)) {
    try {
      rmdirSync(at);
    } catch {
      return; // Somebody has put something there.
    }
  }
}

const FIXES = {
  full: 'Free some space there, or give a folder with more room with --out.',
  place: 'Give a folder that can be written to with --out.',
};

/** What goes wrong when something is written to the folder for the output, in words for the person who gave it. */
export async function writing<T>(dir: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof TierbedError) || error.kind !== 'exhausted') throw diskError(error, dir, FIXES);
    throw new TierbedError('exhausted', `there is no room left to write ${dir}`, { fix: FIXES.full, cause: error });
  }
}
