import { LOADERS } from './loaders/index.js';
import { METRICS } from './metrics/index.js';
import { ownNames } from './own/index.js';
import { OWN_NETWORKS } from './own/own-workload.js';
import { WORKLOAD_PARTS } from './types.js';

/*
 * JSON Schema (draft-07 words only) of a workload in a study. Choices are if/then chains on the property that names the
 * choice, not oneOf: an error then speaks of the choice made, and not of every other.
 */

const path = { type: 'string', minLength: 1 };
const threeNumbers = { type: 'array', items: { type: 'number' }, minItems: 3, maxItems: 3 };

/** An object whose property `key` is one of the names, each with its own properties beside it. */
function chosenBy(
  key: string,
  choices: Readonly<Record<string, { properties: Readonly<Record<string, object>>; required?: readonly string[] }>>,
): object {
  return {
    type: 'object',
    required: [key],
    properties: { [key]: { enum: Object.keys(choices) } },
    allOf: Object.entries(choices).map(([name, { properties, required = [] }]) => ({
      if: { properties: { [key]: { const: name } }, required: [key] },
      // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
      then: { properties: { [key]: { const: name }, ...properties }, required, additionalProperties: false },
    })),
  };
}

const preprocessSchema = chosenBy('kind', {
  image: {
    properties: {
      input: { type: 'string', minLength: 1 },
      size: { type: 'integer', minimum: 1, maximum: 4096 },
      resizeShorter: { type: 'integer', minimum: 1, maximum: 16384 },
      scale: { type: 'number', exclusiveMinimum: 0 },
      mean: threeNumbers,
      std: { ...threeNumbers, items: { type: 'number', exclusiveMinimum: 0 } },
    },
    required: ['input', 'size', 'resizeShorter', 'scale', 'mean', 'std'],
  },
  tensors: { properties: {} },
});

const postprocessSchema = chosenBy('kind', {
  argmax: {
    properties: {
      output: { type: 'string', minLength: 1 },
      classes: { type: 'array', items: { type: 'string' }, minItems: 1 },
      top: { type: 'integer', minimum: 1, maximum: 1000 },
    },
    required: ['output'],
  },
  numbers: { properties: { output: { type: 'string', minLength: 1 } }, required: ['output'] },
  digest: { properties: {} },
});

const dataSchema = chosenBy('loader', Object.fromEntries(LOADERS.map(({ name, schema }) => [name, schema])));

const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };

const splitSchema = {
  type: 'object',
  properties: {
    ...Object.fromEntries(WORKLOAD_PARTS.map((part) => [part, count])),
    ...{ seed: count, stratified: { type: 'boolean' } },
  },
  minProperties: 1,
  additionalProperties: false,
};

const partsSchema = {
  type: 'object',
  properties: { training: dataSchema, calibration: dataSchema, tuning: dataSchema },
  minProperties: 1,
  additionalProperties: false,
};

/** A metric's name alone, or a map from its name to its options. */
const metricSchema = {
  type: ['string', 'object'],
  properties: Object.fromEntries(
    METRICS.map(({ name, schema }) => [
      name,
      {
        type: schema?.required ? 'object' : ['object', 'null'],
        properties: schema?.properties ?? {},
        required: schema?.required ?? [],
        additionalProperties: false,
      },
    ]),
  ),
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  if: { type: 'string' },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
  then: { enum: METRICS.map(({ name }) => name) },
};

const ownProperties = {
  use: { enum: ownNames },
  network: { enum: OWN_NETWORKS },
  seed: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
};

const modelProperties = {
  model: path,
  data: dataSchema,
  split: splitSchema,
  parts: partsSchema,
  preprocess: preprocessSchema,
  postprocess: postprocessSchema,
  metric: metricSchema,
};

/** @param beside properties that either kind has beside its own. @param required of a model's workload */
function schemaOf(beside: Readonly<Record<string, object>>, required: readonly string[]): object {
  return {
    type: 'object',
    if: { required: ['use'] },
    // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
    then: { properties: { ...beside, ...ownProperties }, additionalProperties: false },
    else: {
      properties: { ...beside, ...modelProperties },
      required,
      additionalProperties: false,
    },
  };
}

/** `{use: NAME, seed?}` for the project's own workloads, else a model with its data, preprocessing and metric. */
export const workloadSchema: object = schemaOf({}, ['model', 'data', 'preprocess', 'postprocess', 'metric']);

/** A workload in a file of its own: it may have a name, and leave the model to whoever uses it. */
export const workloadFileSchema: object = schemaOf(
  { name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9_-]*$' } },
  ['data', 'preprocess', 'postprocess', 'metric'],
);
