import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { suggest } from '../../../base/checked-yaml.js';
import { TierbedError } from '../../../base/errors.js';
import { type LinkPreset, loadLinkPresets } from '../../link/presets.js';
import { readTrace, traceFormatOf } from '../../link/traces/index.js';
import type { Direction, DirectionSettings, LinkName, LinkSettings, LinkTrace } from '../../link/types.js';
import { validateLinkSettings } from '../../link/validate.js';
import type { StudyFile, TraceChoice } from './study.js';

const LINK_NAMES: readonly LinkName[] = ['mobile-edge', 'edge-cloud'];

/** What a direction is where a study does not say: no limit, no delay, and room for a quarter of a MiB. */
const DEFAULT_DIRECTION: DirectionSettings = { rateMbps: 0, delayMs: 0, jitterMs: 0, queueBytes: 262_144 };

/** A direction as a resolved study writes it: every default filled in, its trace by file and checksum. */
export type WrittenDirection = Omit<DirectionSettings, 'trace'> & { readonly trace?: Required<TraceChoice> };

/** A direction's settings, and how a study would write them. */
interface ResolvedDirection {
  readonly settings: DirectionSettings;
  readonly written: WrittenDirection;
}

/** The links of a study, the files of its traces read. @throws TierbedError with the study's file, line and key */
export function resolveLinks(file: StudyFile): LinkSettings[] {
  return LINK_NAMES.map((name) => {
    const { up, down } = resolvedLink(file, name);
    return { name, up: up.settings, down: down.settings };
  });
}

/** A link as a resolved study writes it. @throws TierbedError with the study's file, line and key */
export function writtenLink(file: StudyFile, name: LinkName): Readonly<Record<Direction, WrittenDirection>> {
  const { up, down } = resolvedLink(file, name);
  return { up: up.written, down: down.written };
}

/** One link: its preset, what the study says of both directions, and what it says of each, the last one said holding. */
function resolvedLink(file: StudyFile, name: LinkName): Readonly<Record<Direction, ResolvedDirection>> {
  const { preset, up: _up, down: _down, ...both } = file.study.links[name];
  const base = preset === undefined ? undefined : findPreset(file, name, preset);
  const directionOf = (direction: Direction): ResolvedDirection => {
    const own = file.study.links[name][direction];
    const { trace: _, ...settings }: Omit<DirectionSettings, 'trace'> & { readonly trace?: unknown } = {
      ...DEFAULT_DIRECTION,
      ...base?.[direction],
      ...both,
      ...own,
    };
    const trace = own?.trace ?? both.trace;
    if (trace === undefined) return { settings, written: settings };
    const path = own?.trace === undefined ? ['links', name, 'trace'] : ['links', name, direction, 'trace'];
    const read = traceOf(file, path, typeof trace === 'string' ? { file: trace } : trace);
    return { settings: { ...settings, trace: read.trace }, written: { ...settings, trace: read.written } };
  };
  const link = { up: directionOf('up'), down: directionOf('down') };
  try {
    validateLinkSettings({ name, up: link.up.settings, down: link.down.settings });
  } catch (error) {
    if (error instanceof TierbedError) throw file.errorAt(['links', name], error.message, { cause: error });
    throw error;
  }
  return link;
}

/** Reads a trace, and says which it was. */
function traceOf(
  study: StudyFile,
  path: readonly string[],
  { file, format = traceFormatOf(file), sha256 }: TraceChoice,
): { readonly trace: LinkTrace; readonly written: Required<TraceChoice> } {
  try {
    const { trace, text } = readTrace(resolve(study.baseDir, file), format, file);
    const found = createHash('sha256').update(text).digest('hex');
    if (sha256 !== undefined && sha256 !== found) {
      throw new TierbedError('invalid', `${file} is not the trace that the study means: its SHA-256 is ${found}`, {
        fix: 'Give the trace that it was, or take sha256 out of the study.',
      });
    }
    return { trace, written: { file, format, sha256: found } };
  } catch (error) {
    if (error instanceof TierbedError) throw study.errorAt(path, error.message, { cause: error });
    throw error;
  }
}

/** The settings of a preset of tiers/links.yaml. */
function findPreset(file: StudyFile, name: LinkName, preset: string): LinkPreset {
  const presets = loadLinkPresets();
  const found = presets.get(preset);
  if (found) return found;
  const names = [...presets.keys()];
  throw file.errorAt(
    ['links', name],
    `there is no link preset '${preset}'; allowed: ${names.join(', ')}`,
    suggest(preset, names),
  );
}
