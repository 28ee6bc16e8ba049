import { OPERATORS } from '../../operators/index.js';
import { workloadSchema } from '../../workloads/schema.js';
import { TRACE_FORMATS } from '../link/traces/index.js';
import { JITTER_DISTRIBUTIONS } from '../link/validate.js';
import { hopFailureSchema } from './failure-policy.js';
import { linkEncodingsSchema } from './link-encodings.js';
import { PLACEMENT_NAMES } from './placements.js';
import { TIER_NAMES, tierSchema } from './tiers.js';
import { timelineSchema } from './timeline-entry.js';

const NAME = '^[A-Za-z0-9][A-Za-z0-9_-]*$';

/** A file, relative to the study; with its checksum, that file and no other. */
const traceSchema = {
  type: ['string', 'object'],
  properties: {
    file: { type: 'string', minLength: 1 },
    format: { enum: Object.keys(TRACE_FORMATS) },
    sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
  },
  required: ['file'],
  additionalProperties: false,
};

const direction = {
  rateMbps: { type: 'number', minimum: 0 },
  delayMs: { type: 'number', minimum: 0, maximum: 60_000 },
  jitterMs: { type: 'number', minimum: 0, maximum: 60_000 },
  jitterDistribution: { enum: JITTER_DISTRIBUTIONS },
  lossPct: { type: 'number', minimum: 0, maximum: 100 },
  lossBurstPackets: { type: 'number', minimum: 1 },
  queueBytes: { type: 'integer', minimum: 1 },
  trace: traceSchema,
};

const directionSchema = { type: 'object', properties: direction, additionalProperties: false };

/** A preset's name, or settings: those beside `up` and `down` hold for both directions. */
const linkSchema = {
  type: ['string', 'object'],
  properties: { preset: { type: 'string' }, ...direction, up: directionSchema, down: directionSchema },
  additionalProperties: false,
};

/** Both links, by name. */
export const linksSchema = {
  type: 'object',
  properties: { 'mobile-edge': linkSchema, 'edge-cloud': linkSchema },
  required: ['mobile-edge', 'edge-cloud'],
  additionalProperties: false,
};

/** One operator: its name alone, or a map from its name to its options. */
const stepSchema = {
  type: ['string', 'object'],
  properties: Object.fromEntries(OPERATORS.map(({ name, optionsSchema }) => [name, optionsSchema])),
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  if: { type: 'string' },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
  then: { enum: OPERATORS.map(({ name }) => name) },
};

/** What all tiers' CPUs and memory are multiplied by. */
const scaleSchema = { type: 'number', exclusiveMinimum: 0, maximum: 64 };

/** JSON Schema of a study. What each key means is in docs/study.md. */
export const studySchema = {
  type: 'object',
  properties: {
    name: { type: 'string', pattern: NAME },
    seed: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    workloads: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: NAME },
      additionalProperties: workloadSchema,
    },
    recipes: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: NAME },
      additionalProperties: { type: 'array', items: stepSchema },
    },
    placements: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { enum: PLACEMENT_NAMES },
    },
    links: linksSchema,
    encodings: linkEncodingsSchema,
    linkTolerance: {
      type: 'object',
      properties: { ms: { type: 'number', minimum: 0 }, percent: { type: 'number', minimum: 0 } },
      additionalProperties: false,
    },
    sessions: { type: 'array', minItems: 1, uniqueItems: true, items: { enum: ['cold', 'warm'] } },
    payload: { enum: ['encoded', 'tensor'] },
    items: {
      type: ['integer', 'string'],
      minimum: 1,
      if: { type: 'string' },
      // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
      then: { enum: ['all'] },
    },
    rounds: { type: 'integer', minimum: 1 },
    warmupRuns: { type: 'integer', minimum: 0, maximum: 10_000 },
    graphOptimization: { type: 'boolean' },
    deadlineMs: { type: 'number', exclusiveMinimum: 0 },
    scale: scaleSchema,
    onHopFailure: hopFailureSchema,
    timeline: timelineSchema,
    tiers: {
      type: 'object',
      properties: {
        preset: { type: 'string' },
        ...Object.fromEntries(TIER_NAMES.map((name) => [name, tierSchema])),
      },
      additionalProperties: false,
    },
  },
  required: ['workloads', 'recipes', 'placements', 'links'],
  additionalProperties: false,
};
