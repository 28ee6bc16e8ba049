import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { cacheDir } from '../base/paths.js';
import type { Progress } from '../base/progress.js';
import type { LabelSource } from './metrics/metric.js';
import { createPreprocessor } from './preprocess/index.js';
import type { PreprocessSpec, WorkloadItem } from './types.js';

export interface LabelOptions {
  readonly preprocess: PreprocessSpec;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** What the work is called while it goes on. */
  readonly doing: string;
}

/**
 * Items with the labels that a source gives. Those of a source that says what they follow from are kept in the cache
 * under that and the items' bytes. An item that cannot be read or prepared has no label: it will be found unreadable.
 *
 * @throws TierbedError as the source's `label`; `cancelled`
 */
export async function labelsFrom(
  items: readonly WorkloadItem[],
  source: LabelSource,
  options: LabelOptions,
): Promise<WorkloadItem[]> {
  const { progress, signal, doing } = options;
  const file = source.identity === undefined ? undefined : cacheFile(await keyOf(items, source.identity, options));
  const kept = file && (await readKept(file, items.length));
  if (kept) return items.map((item, i) => ({ ...item, label: kept[i] as string, read: () => item.read() }));
  const preprocess = createPreprocessor(options.preprocess);
  const labels: string[] = [];
  progress.start(doing, items.length);
  try {
    for (const item of items) {
      // Runs of a model do not give way by themselves.
      await new Promise((resolve) => setImmediate(resolve));
      stopIf(signal);
      const inputs = await item.read().then(preprocess, () => undefined).catch(() => undefined);
      labels.push(inputs ? await source.label(inputs).catch((error) => relayed(item.id, error)) : '');
      progress.update(labels.length);
    }
  } finally {
    progress.stop();
  }
  if (file) await keep(file, labels);
  return items.map((item, i) => ({ ...item, label: labels[i] as string, read: () => item.read() }));
}

async function keyOf(items: readonly WorkloadItem[], identity: string, options: LabelOptions): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([identity, options.preprocess]));
  for (const item of items) {
    stopIf(options.signal);
    const bytes = await item.read().catch(() => undefined);
    hash.update(`\n${bytes?.byteLength ?? 'unreadable'}:`).update(bytes ?? '');
  }
  return hash.digest('hex').slice(0, 40);
}

const cacheFile = (key: string): string => join(cacheDir(), 'labels', `${key}.json`);

async function readKept(file: string, count: number): Promise<readonly string[] | undefined> {
  try {
    const labels: unknown = JSON.parse(await readFile(file, 'utf8'));
    const whole = Array.isArray(labels) && labels.length === count && labels.every((l) => typeof l === 'string');
    return whole ? labels : undefined;
  } catch {
    return undefined; // not there, or damaged: made anew either way
  }
}

/** What cannot be kept is made anew the next time: no reason to stop. */
async function keep(file: string, labels: readonly string[]): Promise<void> {
  const beside = `${file}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(beside, JSON.stringify(labels));
    await rename(beside, file);
  } catch {
    await rm(beside, { force: true }).catch(() => {});
  }
}

/** The same error, with the item it came of. */
function relayed(id: string, error: unknown): never {
  if (!(error instanceof TierbedError) || error.kind === 'cancelled') throw error;
  const { kind, message, fix } = error;
  throw new TierbedError(kind, `item '${id}': ${message}`, { cause: error, ...(fix !== undefined && { fix }) });
}

function stopIf(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TierbedError('cancelled', 'labelling the items was cancelled');
}
