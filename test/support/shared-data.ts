import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** The folder of trained models and labelled data that some tests need, from `$TIERBED_DATA`. */
export const sharedDataDir: string | undefined =
  process.env.TIERBED_DATA && existsSync(join(process.env.TIERBED_DATA, 'MANIFEST.json'))
    ? process.env.TIERBED_DATA
    : undefined;

/**
 * Gives the shared data's folder, or skips the test and says why; in CI its absence is a failure.
 *
 * @example const data = needsSharedData(t); if (!data) return;
 */
export function needsSharedData(t: TestContext): string | undefined {
  if (sharedDataDir) return sharedDataDir;
  const reason = 'set TIERBED_DATA to the folder of test models and data (the one with MANIFEST.json)';
  if (process.env.CI === 'true') throw new Error(`CI must have the shared data: ${reason}`);
  t.skip(reason);
  return undefined;
}

export interface ManifestModel {
  readonly name: string;
  readonly file: string;
  readonly dataset: string | null;
  readonly inputs: readonly { name: string; type: string; shape: readonly (number | string)[] }[];
  readonly outputs: readonly { name: string; type: string; shape: readonly (number | string)[] }[];
  readonly parameters: number;
}

/** The models that MANIFEST.json lists, with absolute paths. */
export function sharedModels(dir: string): readonly (ManifestModel & { path: string })[] {
  const manifest = JSON.parse(readFileSync(join(dir, 'MANIFEST.json'), 'utf8')) as { models: ManifestModel[] };
  return manifest.models.map((m) => ({ ...m, path: join(dir, m.file) }));
}
