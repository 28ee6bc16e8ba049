import { testTorchCases } from './support/torch-cases.js';

// Where something has no derivative there is PyTorch to go by, and no difference.
testTorchCases('reduce.json.gz', ({ name }) => ({ differences: !/equal|L2 of zeros/.test(name) }));
