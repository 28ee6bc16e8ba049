import { access, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { TierbedError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { describeModel } from '../../operators/model-files.js';
import { hashFile } from '../../operators/variant.js';
import { LOADERS } from '../../workloads/loaders/index.js';
import { resolveStudyPath } from '../../workloads/paths.js';
import type { YamlPath } from './checked-yaml.js';
import type { StudyFile } from './study.js';
import { isInside, type StudyPath, studyPaths } from './study-paths.js';

/** A file that a study needs. */
export interface PackedFile {
  /** Relative to the study's folder, wherever that will be. */
  readonly path: string;
  /** Where it is now. */
  readonly source: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** A study that can be carried elsewhere. */
export interface PackedStudy {
  /** Its YAML: that of its file, but for paths that only mean something here, and a scale given beside it. */
  readonly text: string;
  readonly files: readonly PackedFile[];
}

/** Files that lie outside the study's folder are put here. */
const OUTSIDE = 'outside';

/**
 * Collects every file that a study names, so that the study runs the same in another place: models with their external
 * data, data, labels, traces; of a folder only what is read of it. Paths that lead out of the study's folder or depend on
 * the environment are replaced, and the scale that `file` was loaded with stands in it.
 *
 * @param text the study's YAML
 * @throws TierbedError `missing` or `invalid` with the study's file, line and key; `cancelled`
 */
export async function packStudy(
  file: StudyFile,
  text: string,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<PackedStudy> {
  const data: unknown = parse(text);
  const sources = new Map<string, string>();
  let changed = false;
  if (file.study.scale !== ((data as { scale?: number }).scale ?? 1)) {
    setIn(data, ['scale'], file.study.scale);
    changed = true;
  }
  for (const [i, named] of studyPaths(file.study).entries()) {
    try {
      const source = resolveStudyPath(named.path, file.baseDir);
      const kept = isInside(named.path);
      const path = kept ? named.path.replace(/\/+$/, '') : `${OUTSIDE}/${i}/${basename(source)}`;
      if (!kept) setIn(data, named.at, path);
      changed ||= !kept;
      for (const [to, from] of await filesOf(file, named, source, path, signal)) sources.set(normal(to), from);
    } catch (error) {
      if (!(error instanceof TierbedError) || error.kind === 'cancelled') throw error;
      throw file.errorAt(named.at, error.message, { cause: error });
    }
  }
  return { text: changed ? stringify(data) : text, files: await hashed(sources, progress, signal) };
}

function setIn(data: unknown, at: YamlPath, value: string | number): void {
  let parent = data as Record<string | number, unknown>;
  for (const key of at.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  parent[at.at(-1) as string | number] = value;
}

/** What a path of the study stands for: pairs of a path to be and a path that is. */
async function filesOf(
  file: StudyFile,
  { of }: StudyPath,
  source: string,
  path: string,
  signal: AbortSignal,
): Promise<readonly (readonly [to: string, from: string])[]> {
  const found = await stat(source).catch(() => undefined);
  if (!found) {
    throw new TierbedError('missing', `${source} does not exist`, { fix: 'Check the paths of the study.' });
  }
  if (of === 'model') {
    const { files } = await describeModel(source);
    const folder = path.slice(0, path.length - basename(path).length);
    // The first is the model itself, whatever name it has here.
    return files.map(({ name, path: from }, i) => [i === 0 ? path : `${folder}${name}`, from]);
  }
  if (!found.isDirectory()) return [[path, source]];
  const loader = LOADERS.find(({ name }) => name === of?.loader);
  const names =
    of &&
    (await loader?.folderFiles?.(of, { resolvePath: (other) => resolveStudyPath(other, file.baseDir), signal }));
  if (!names) throw new TierbedError('invalid', `${source} is a folder, and a file is needed`);
  const pairs = names.map((name) => [`${path}/${name}`, join(source, name)] as const);
  // One that is not there is not there either where the study runs: it will be named as unreadable.
  const there = await Promise.all(pairs.map(([, from]) => access(from).then(() => true, () => false)));
  return pairs.filter((_, i) => there[i]);
}

const normal = (path: string): string =>
  path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');

async function hashed(
  sources: ReadonlyMap<string, string>,
  progress: Progress,
  signal: AbortSignal,
): Promise<PackedFile[]> {
  const files: PackedFile[] = [];
  progress.start('reading the files of the study', sources.size);
  try {
    for (const [path, source] of sources) {
      if (signal.aborted) throw new TierbedError('cancelled', 'stopped before the study was sent');
      const { sha256, bytes } = await hashFile(source).catch((cause: unknown) => {
        throw new TierbedError('missing', `${source} cannot be read`, { fix: 'Check the paths of the study.', cause });
      });
      files.push({ path, source, sha256, bytes });
      progress.update(files.length, path);
    }
  } finally {
    progress.stop();
  }
  return files;
}
