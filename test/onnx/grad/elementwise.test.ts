import { testTorchCases } from './support/torch-cases.js';

// Where something has no derivative there is PyTorch to go by, and no difference.
testTorchCases('elementwise.json.gz', ({ name }) => ({
  differences: !/where equal|at its bounds|to 0 of 0/.test(name),
}));
