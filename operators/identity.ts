import type { Operator } from './operator.js';

/** The model as it is. */
export const identity: Operator = {
  name: 'identity',
  summary: 'the model as it is',
  optionsSchema: { type: ['object', 'null'], properties: {}, additionalProperties: false },
  version: 1,
  takes: 'stages',
  apply: async (variant) => [variant],
};
