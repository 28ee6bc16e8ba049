const names = { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } };
const positive = { type: 'number', exclusiveMinimum: 0 };
const share = { type: 'number', minimum: 0, exclusiveMaximum: 1 };

/** An object whose `kind` is one of the names, each with its own properties beside it and those that all have. */
function byKind(
  kinds: Readonly<
    Record<string, { readonly properties?: Readonly<Record<string, object>>; readonly required?: readonly string[] }>
  >,
  shared: Readonly<Record<string, object>> = {},
): object {
  return {
    type: 'object',
    required: ['kind'],
    properties: { kind: { enum: Object.keys(kinds) } },
    allOf: Object.entries(kinds).map(([kind, { properties = {}, required = [] }]) => ({
      if: { properties: { kind: { const: kind } }, required: ['kind'] },
      // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
      then: { properties: { kind: { const: kind }, ...shared, ...properties }, required, additionalProperties: false },
    })),
  };
}

const adam = {
  properties: { betas: { type: 'array', items: share, minItems: 2, maxItems: 2 }, epsilon: positive },
};

const optimizer = byKind(
  { sgd: { properties: { momentum: share, nesterov: { type: 'boolean' } } }, adam, adamw: adam },
  { rate: positive, weightDecay: { type: 'number', minimum: 0 }, noDecay: names },
);

const schedule = byKind(
  {
    constant: {},
    cosine: { properties: { floor: { type: 'number', minimum: 0, maximum: 1 } } },
    step: { properties: { every: { type: 'integer', minimum: 1 }, factor: positive }, required: ['every', 'factor'] },
  },
  { warmupSteps: { type: 'integer', minimum: 0 } },
);

const pixels = { type: 'integer', minimum: 1, maximum: 512 };

const augmentation = byKind({
  crop: { properties: { pad: pixels }, required: ['pad'] },
  flip: {},
  shift: { properties: { pixels }, required: ['pixels'] },
  noise: { properties: { deviation: positive }, required: ['deviation'] },
  'token-dropout': {
    properties: {
      share,
      token: { type: 'integer', minimum: 0 },
      keep: { type: 'array', items: { type: 'integer', minimum: 0 } },
      input: { type: 'string', minLength: 1 },
    },
    required: ['share', 'token'],
  },
});

/** JSON Schema of the properties of `TrainSettings`: each has a default. */
export const trainSettingsProperties: Readonly<Record<string, object>> = {
  epochs: { type: 'integer', minimum: 1, maximum: 100_000 },
  batch: { type: 'integer', minimum: 1, maximum: 65_536 },
  optimizer,
  schedule,
  labelSmoothing: share,
  clipNorm: positive,
  augment: { type: 'array', items: augmentation },
  patience: { type: 'integer', minimum: 1 },
  seed: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  freeze: names,
  dims: { type: 'object', additionalProperties: { type: 'integer', minimum: 1 } },
};

/** JSON Schema of `TrainSettings`, as the option `train` of operators that train. */
export const trainSettingsSchema: object = {
  type: 'object',
  properties: trainSettingsProperties,
  additionalProperties: false,
};
