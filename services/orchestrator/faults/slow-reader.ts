import { nodeFault } from './node-fault.js';

export const slowReader = nodeFault(
  'slow-reader',
  'A node takes what is sent to it late: it reads for an instant every `pauseMs`, or no more than `rateMbps`.',
  {
    pauseMs: { type: 'number', exclusiveMinimum: 0, maximum: 60_000 },
    rateMbps: { type: 'number', minimum: 0.001, maximum: 100_000 },
  },
  [],
);
