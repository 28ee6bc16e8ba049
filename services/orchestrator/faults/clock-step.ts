import { nodeFault } from './node-fault.js';

export const clockStep = nodeFault(
  'clock-step',
  'The clock that a node reads its times from jumps by `ms`, and back afterwards.',
  { ms: { type: 'number', minimum: -1e9, maximum: 1e9 } },
  ['ms'],
);
