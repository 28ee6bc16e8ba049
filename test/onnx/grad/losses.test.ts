import { testTorchCases } from './support/torch-cases.js';

testTorchCases('losses.json.gz');
