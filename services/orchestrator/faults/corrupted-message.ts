import { nodeFault } from './node-fault.js';

export const corruptedMessage = nodeFault(
  'corrupted-message',
  'A node flips bits in what it sends to the next node or answers: in the next `messages`, or in each by `probability`.',
  {
    messages: { type: 'integer', minimum: 1 },
    probability: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    bytes: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    seed: { type: 'integer', minimum: 0 },
  },
  [],
  ({ seed }) => ({ seed }),
);
