import { problemOf, suggest } from '../../../base/checked-yaml.js';
import { TierbedError } from '../../../base/errors.js';
import { loadLinkPresets } from '../../link/presets.js';
import { directionProperties } from '../../link/schema.js';
import type { Direction, DirectionSettings, LinkName, LinkSettings } from '../../link/types.js';
import { validateLinkSettings } from '../../link/validate.js';
import { checkFaultSpec, FAULTS, type FaultSpec } from '../faults/index.js';
import type { StudyFile } from './study.js';

/** One line of a study's timeline, as it is written. */
export interface TimelineEntry {
  /** Seconds of measuring. */
  readonly atS: number;
  readonly link?: LinkName;
  /** A preset, or settings; what is not named stays as it is. */
  readonly set?: string | LinkChange;
  /** One direction only. */
  readonly direction?: Direction;
  /** As the study sets it. */
  readonly restore?: true;
  readonly fault?: string;
  readonly forS?: number;
  /** Options of the fault. */
  readonly [option: string]: unknown;
}

/** Settings of a link that change: those beside `up` and `down` in both directions. */
export interface LinkChange extends Partial<DirectionSettings> {
  readonly up?: Partial<DirectionSettings>;
  readonly down?: Partial<DirectionSettings>;
}

/** What happens at a point of the timeline. */
export type TimelineEvent =
  | {
      readonly kind: 'link';
      readonly atS: number;
      readonly link: LinkName;
      /** What the results call it: the preset's name, or `changed`; undefined: as the study sets it. */
      readonly name: string | undefined;
      /** What the link becomes of what it was. */
      readonly change: (from: LinkSettings) => LinkSettings;
    }
  | { readonly kind: 'fault'; readonly atS: number; readonly spec: FaultSpec };

/** JSON Schema of the study's key `timeline`; `resolveTimeline` looks further. */
export const timelineSchema = {
  type: 'array',
  items: {
    type: 'object',
    properties: {
      atS: { type: 'number', minimum: 0 },
      link: { enum: ['mobile-edge', 'edge-cloud'] },
      set: { type: ['string', 'object'] },
      direction: { enum: ['up', 'down', 'both'] },
      restore: { enum: [true] },
      fault: { enum: FAULTS.map(({ name }) => name) },
      forS: { type: 'number', exclusiveMinimum: 0 },
    },
    required: ['atS'],
  },
};

/**
 * The events of a study's timeline in the order of their times.
 *
 * @param links as the study sets them
 * @throws TierbedError `invalid` with file, line and key
 */
export function resolveTimeline(file: StudyFile, links: readonly LinkSettings[]): readonly TimelineEvent[] {
  const events = file.study.timeline.map((entry, i) => {
    const wrong = (key: string, message: string, fix?: string): TierbedError =>
      file.errorAt(['timeline', i, ...(key ? [key] : [])], message, fix === undefined ? {} : { fix });
    return entry.fault === undefined ? linkEvent(file, i, entry, links, wrong) : faultEvent(entry, wrong);
  });
  return events.toSorted((a, b) => a.atS - b.atS);
}

type Wrong = (key: string, message: string, fix?: string) => TierbedError;

function faultEvent({ atS, fault, forS, ...options }: TimelineEntry, wrong: Wrong): TimelineEvent {
  const spec: FaultSpec = { fault: fault as string, options, ...(forS === undefined ? {} : { forS }) };
  try {
    checkFaultSpec(spec);
  } catch (error) {
    if (error instanceof TierbedError) throw wrong('', error.message, error.fix);
    throw error;
  }
  return { kind: 'fault', atS, spec };
}

const LINK_KEYS = ['atS', 'link', 'set', 'direction', 'restore'];

function linkEvent(
  file: StudyFile,
  index: number,
  entry: TimelineEntry,
  links: readonly LinkSettings[],
  wrong: Wrong,
): TimelineEvent {
  const { atS, link, set, direction, restore } = entry;
  const stray = Object.keys(entry).find((key) => !LINK_KEYS.includes(key));
  if (stray !== undefined) {
    throw wrong(stray, `unknown key; allowed: ${LINK_KEYS.join(', ')}`, suggest(stray, LINK_KEYS).fix);
  }
  const original = links.find(({ name }) => name === link);
  if (!original || (set === undefined) === (restore === undefined)) {
    throw wrong('', 'nothing happens here', 'Give a fault, or a link with either set or restore: true.');
  }
  if (restore) return { kind: 'link', atS, link: original.name, name: undefined, change: () => original };
  const change = changeOf(set as string | LinkChange, direction, wrong);
  try {
    validateLinkSettings(change(original));
  } catch (error) {
    if (error instanceof TierbedError) throw file.errorAt(['timeline', index, 'set'], error.message, { cause: error });
    throw error;
  }
  return { kind: 'link', atS, link: original.name, name: typeof set === 'string' ? set : 'changed', change };
}

const directionSchema = { type: 'object', properties: directionProperties, additionalProperties: false };
const changeSchema = {
  ...directionSchema,
  properties: { ...directionProperties, up: directionSchema, down: directionSchema },
};

function changeOf(
  set: string | LinkChange,
  direction: Direction | 'both' | undefined,
  wrong: Wrong,
): (from: LinkSettings) => LinkSettings {
  const parts = typeof set === 'string' ? presetParts(set, wrong) : settingsParts(set, wrong);
  const touches = (way: Direction): boolean => direction === undefined || direction === 'both' || direction === way;
  return (from) => ({
    ...from,
    up: touches('up') ? { ...from.up, ...parts.up } : from.up,
    down: touches('down') ? { ...from.down, ...parts.down } : from.down,
  });
}

function presetParts(name: string, wrong: Wrong): Required<Pick<LinkChange, Direction>> {
  const presets = loadLinkPresets();
  const found = presets.get(name);
  if (found) return { up: found.up, down: found.down };
  const names = [...presets.keys()];
  throw wrong('set', `there is no link preset '${name}'; allowed: ${names.join(', ')}`, suggest(name, names).fix);
}

function settingsParts(set: LinkChange, wrong: Wrong): Required<Pick<LinkChange, Direction>> {
  const problem = problemOf(set, changeSchema);
  if (problem) throw wrong('set', `${problem.path.join('.')}: ${problem.message}`, problem.fix);
  const { up, down, ...both } = set;
  return { up: { ...both, ...up }, down: { ...both, ...down } };
}
