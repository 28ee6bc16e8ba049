import { EXIT_CODES } from '../../../base/errors.js';
import { directionProperties } from '../../link/schema.js';
import { TIER_NAMES } from '../tiers/tiers.js';

/*
 * JSON Schemas of what the API takes and gives, the one source of its checks and of /openapi.json. `api.ts` says the
 * same to TypeScript.
 */

export const LINK_NAMES = ['mobile-edge', 'edge-cloud'] as const;

/** An object with these properties and no others. */
export function object(properties: Readonly<Record<string, object>>, required: readonly string[] = []): object {
  return { type: 'object', properties, required, additionalProperties: false };
}

/** An object all of whose properties are there. */
export function whole(properties: Readonly<Record<string, object>>): object {
  return object(properties, Object.keys(properties));
}

const orNull = (type: string): object => ({ type: [type, 'null'] });
const nullable = (schema: object): object => ({ anyOf: [schema, { type: 'null' }] });
const time = { type: 'string', format: 'date-time' };
const timeOrNull = { type: ['string', 'null'], format: 'date-time' };
const count = { type: 'integer', minimum: 0 };

/** No parameters at all: an unknown one is refused, too. */
export const nothing = object({});

export const idParams = whole({ id: { type: 'string', pattern: '^[A-Za-z0-9-]{1,64}$' } });
export const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$' };

const apiError = whole({ kind: { enum: Object.keys(EXIT_CODES) }, message: { type: 'string' }, fix: orNull('string') });
export const errorSchema = { ...whole({ error: apiError }), description: 'What went wrong, and the fix.' };

const step = { label: { type: 'string' }, done: { type: 'number' }, total: orNull('number'), note: orNull('string') };

export const studyView = whole({
  id: { type: 'string' },
  name: { type: 'string' },
  state: { enum: ['queued', 'running', 'done', 'failed', 'stopped'] },
  position: { type: ['integer', 'null'], description: '1 for the next to run; null unless queued' },
  step: { ...nullable(whole(step)), description: 'what a running study is doing' },
  samples: nullable(whole({ recorded: count, planned: count })),
  createdAt: time,
  startedAt: timeOrNull,
  finishedAt: timeOrNull,
  error: { ...nullable(apiError), description: 'why it failed or was stopped' },
});

/** Text of a study, at most. */
export const MAX_STUDY_CHARS = 1_000_000;
export const MAX_STUDY_FILES = 200_000;
export const MAX_HASHES = 10_000;

export const newStudy = object(
  {
    study: { type: 'string', minLength: 1, maxLength: MAX_STUDY_CHARS, description: "the study's YAML" },
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$',
      description: "the study's name, where its YAML gives none",
    },
    files: {
      type: 'array',
      maxItems: MAX_STUDY_FILES,
      items: whole({ path: { type: 'string', minLength: 1, maxLength: 1000 }, sha256 }),
      description: 'the files that the study names by relative paths, their content uploaded before',
    },
  },
  ['study'],
);

export const resultFile = whole({ name: { type: 'string' }, bytes: count, type: { type: 'string' } });

export const linkPatch = {
  ...object({
    direction: { enum: ['up', 'down', 'both'], default: 'both' },
    preset: { type: 'string', minLength: 1, description: 'a preset of tiers/links.yaml; settings beside it go before' },
    ...directionProperties,
    blocked: { type: 'boolean', description: 'nothing passes, either way' },
  }),
  description: 'What is not named stays as it is.',
};

const directionView = {
  type: 'object',
  properties: directionProperties,
  required: ['delayMs', 'jitterMs', 'queueBytes'],
  additionalProperties: true,
};

export const linkView = object(
  {
    name: { enum: LINK_NAMES },
    up: directionView,
    down: directionView,
    blocked: { type: 'boolean' },
  },
  ['name', 'up', 'down'],
);

export const linksView = whole({
  driver: nullable(whole({ name: { type: 'string' }, why: { type: 'string' } })),
  links: { type: 'array', items: linkView },
});

export const linkParams = whole({ name: { enum: LINK_NAMES } });

export const verifyRequest = object({
  disturb: { type: 'boolean', description: 'measure although a study is running, whose samples it disturbs' },
  links: { type: 'array', minItems: 1, uniqueItems: true, items: { enum: LINK_NAMES } },
});

export const verifyReport = whole({
  ok: { type: 'boolean' },
  figures: { type: 'array', items: { type: 'object', additionalProperties: true } },
  maxAttempts: count,
  tookMs: { type: 'number' },
});

export const tierParams = whole({ name: { enum: TIER_NAMES } });

export const tierPatch = {
  ...object({
    cpus: { type: 'number', exclusiveMinimum: 0, maximum: 4096, description: 'CPU quota in cores' },
    memoryMiB: { type: 'integer', minimum: 64, maximum: 1024 ** 2 * 64 },
    paused: { type: 'boolean', description: "stops all of the node's threads where they are, or lets them go on" },
    running: { type: 'boolean', description: 'false ends the node as a crash would, true starts it again' },
  }),
  minProperties: 1,
  description: 'What is not named stays as it is.',
};

export const tierView = whole({
  name: { enum: TIER_NAMES },
  state: { enum: ['running', 'paused', 'stopped'] },
  limits: nullable(whole({ cpus: { type: 'number' }, memoryMiB: { type: 'number' } })),
  usage: nullable(whole({ cpus: orNull('number'), memoryMiB: orNull('number') })),
  control: orNull('string'),
});

export const faultRequest = {
  type: 'object',
  properties: {
    fault: { type: 'string', minLength: 1, description: 'GET /v1/faults lists those there are, with their options' },
    tier: { enum: TIER_NAMES },
    link: { enum: LINK_NAMES },
    forS: { type: 'number', exclusiveMinimum: 0, maximum: 86_400, description: 'seconds until it is undone by itself' },
  },
  required: ['fault'],
  // What else a fault takes it checks itself.
  additionalProperties: { type: ['string', 'number', 'boolean'] },
};

export const activeFault = object(
  {
    id: { type: 'string' },
    fault: { type: 'string' },
    options: { type: 'object', additionalProperties: true },
    startedAt: time,
    endsAt: time,
  },
  ['id', 'fault', 'options', 'startedAt'],
);

export const faultsView = whole({
  known: {
    type: 'array',
    items: whole({
      name: { type: 'string' },
      help: { type: 'string' },
      options: { type: 'object', additionalProperties: true, description: 'JSON Schema of its options' },
    }),
  },
  active: { type: 'array', items: activeFault },
});

export const statusView = whole({
  version: { type: 'string' },
  runtime: { type: 'string' },
  startedAt: time,
  study: nullable(studyView),
  queued: count,
  testbed: { enum: ['study', 'standing', 'none'] },
});
