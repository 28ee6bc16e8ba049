import { testTorchCases } from './support/torch-cases.js';

testTorchCases('normalisation.json.gz');
