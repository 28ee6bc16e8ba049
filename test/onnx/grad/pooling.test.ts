import { testTorchCases } from './support/torch-cases.js';

testTorchCases('pooling.json.gz');
