import type { Operator } from './operator.js';

/** The model as it is. */
export const identity: Operator = {
  name: 'identity',
  optionsSchema: { type: ['object', 'null'], properties: {}, additionalProperties: false },
  version: 1,
  apply: async (variant) => [variant],
};
