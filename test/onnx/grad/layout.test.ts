import { testTorchCases } from './support/torch-cases.js';

testTorchCases('layout.json.gz');
