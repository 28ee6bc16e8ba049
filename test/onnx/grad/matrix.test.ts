import { testTorchCases } from './support/torch-cases.js';

testTorchCases('matrix.json.gz');
