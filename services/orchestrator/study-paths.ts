import { TierbedError } from '../../base/errors.js';
import { type SpecPath, specPaths } from '../../workloads/spec-paths.js';
import type { YamlPath } from './checked-yaml.js';
import type { Study, StudyFile } from './study.js';

/** A file or folder that a study names. */
export interface StudyPath {
  /** Where in the study it stands. */
  readonly at: YamlPath;
  /** As the study has it. */
  readonly path: string;
  /** Of a workload's: what the path belongs to. */
  readonly of?: SpecPath['of'];
}

/** Every path in a study: models, data, labels and tokenizers of its workloads, traces of its links. */
export function studyPaths(study: Study): StudyPath[] {
  return [...workloadPaths(study), ...tracePaths(study)];
}

function* workloadPaths({ workloads }: Study): Generator<StudyPath> {
  for (const [name, spec] of Object.entries(workloads)) {
    for (const found of specPaths(spec)) yield { ...found, at: ['workloads', name, ...found.at] };
  }
}

/** `trace` of a link, or of one direction of it: a file, or a map that names one. */
function* tracePaths({ links }: Study): Generator<StudyPath> {
  for (const [name, link] of Object.entries(links)) {
    const places = [
      { at: ['links', name], settings: link },
      { at: ['links', name, 'up'], settings: link.up },
      { at: ['links', name, 'down'], settings: link.down },
    ];
    for (const { at, settings } of places) {
      const trace = (settings as Readonly<Record<string, unknown>> | undefined)?.trace;
      if (typeof trace === 'string') yield { at: [...at, 'trace'], path: trace };
      const file = (trace as { readonly file?: unknown } | undefined)?.file;
      if (typeof file === 'string') yield { at: [...at, 'trace', 'file'], path: file };
    }
  }
}

/**
 * Refuses a study that names anything outside its own folder.
 *
 * @throws TierbedError `refused` with file, line and key
 */
export function assertPathsInside(file: StudyFile): void {
  for (const { at, path } of studyPaths(file.study)) {
    if (isInside(path)) continue;
    const cause = new TierbedError('refused', 'the path leads out of the folder of the study');
    throw file.errorAt(at, `'${path}' leads out of the folder of the study`, {
      fix: "Send the file with the study, as 'tierbed run --runtime docker' does, and name it by a relative path.",
      cause,
    });
  }
}

/** Whether a path is relative, stays below where it starts, and depends on nothing but itself. */
export function isInside(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\\') || path.includes('\0') || path.includes('${')) {
    return false;
  }
  return !path.split('/').includes('..');
}
