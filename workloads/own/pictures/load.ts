import { createHash, randomUUID } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { cacheDir } from '../../../base/paths.js';
import { silent } from '../../../base/progress.js';
import type { Workload, WorkloadItem } from '../../types.js';
import type { OwnOptions } from '../own-workload.js';
import {
  buildPictures,
  GENERATOR_VERSION,
  MODEL_FILE,
  type PicturesConfig,
  type PicturesRecord,
  RECORD_FILE,
} from './build.js';
import { encodedPicture } from './jpeg.js';
import { PICTURES_PREPROCESS } from './network.js';

/** Enough to fit 864 features, to tell their regularisations apart, and to know the accuracy to 1.5 points. */
const SIZES = { fit: 800, tune: 200, evaluation: 300 };

/**
 * The project's own pictures and their model: made on first use, then taken from the cache, whose files are checked.
 *
 * @throws TierbedError `refused` or `exhausted` when the cache cannot be written, `cancelled` when `signal` says so
 */
export async function loadPictures(
  { seed = 1, progress = silent, signal }: OwnOptions,
  sizes: Omit<PicturesConfig, 'seed'> = SIZES,
): Promise<Workload> {
  const config = { seed, ...sizes };
  const folder = join(cacheDir(), `pictures-${keyOf(config)}`);
  const record = (await intactRecord(folder)) ?? (await buildInto(folder, config, progress, signal));
  return {
    name: 'pictures',
    modelPath: join(folder, MODEL_FILE),
    items: record.items.evaluation.map(({ file, label }) => {
      return { id: file, label, read: () => readFile(join(folder, file)) };
    }),
    training: [],
    calibration: keptItems(folder, record, 'fit'),
    tuning: keptItems(folder, record, 'tune'),
    preprocess: PICTURES_PREPROCESS,
    postprocess: { kind: 'argmax', output: 'logits', classes: record.classes },
    metric: 'top1',
  };
}

/**
 * The pictures of a part that only operators read, checked one by one as they do: checking all of them whenever the
 * workload is loaded would take longer than loading it. One that is damaged is drawn again.
 */
function keptItems(folder: string, { config, items, sha256 }: PicturesRecord, part: 'fit' | 'tune'): WorkloadItem[] {
  return items[part].map(({ file, label }, index) => ({
    id: file,
    label,
    async read() {
      const kept = await readFile(join(folder, file)).catch(() => undefined);
      return kept && hashOf(kept) === sha256[file] ? kept : encodedPicture(config.seed, part, index);
    },
  }));
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function keyOf(config: PicturesConfig): string {
  const { seed, fit, tune, evaluation } = config;
  return createHash('sha256')
    .update(JSON.stringify([GENERATOR_VERSION, seed, fit, tune, evaluation]))
    .digest('hex')
    .slice(0, 16);
}

/** The record of a finished folder whose model and evaluation part are as they were written; else undefined. */
async function intactRecord(folder: string): Promise<PicturesRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(join(folder, RECORD_FILE), 'utf8')) as PicturesRecord;
    for (const name of [MODEL_FILE, ...record.items.evaluation.map(({ file }) => file)]) {
      if (hashOf(await readFile(join(folder, name))) !== record.sha256[name]) return undefined;
    }
    return record;
  } catch {
    return undefined; // not there, or damaged: made anew either way
  }
}

/** Builds beside the final place and moves there at the end, so that no half-made folder is ever taken for a whole one. */
async function buildInto(
  folder: string,
  config: PicturesConfig,
  progress: NonNullable<OwnOptions['progress']>,
  signal: AbortSignal | undefined,
): Promise<PicturesRecord> {
  const beside = `${folder}.${randomUUID()}.tmp`;
  try {
    const record = await buildPictures(beside, config, progress, signal);
    // Another run may have finished first: its folder holds the same, and is kept.
    const other = await intactRecord(folder);
    if (other) return other;
    await rm(folder, { recursive: true, force: true });
    await rename(beside, folder);
    return record;
  } catch (error) {
    const other = await intactRecord(folder);
    if (other && !signal?.aborted) return other;
    throw explained(error);
  } finally {
    // Where it fails, what went wrong before is what there is to say.
    await rm(beside, { recursive: true, force: true }).catch(() => {});
  }
}

function explained(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'exhausted' : 'refused';
  if (kind === 'refused' && !['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code ?? '')) return error;
  return new TierbedError(kind, `the pictures workload cannot be kept in ${cacheDir()}: ${messageOf(error)}`, {
    fix: 'Free some space there, or set TIERBED_CACHE to a folder that can be written.',
    cause: error,
  });
}
