import { testTorchCases } from './support/torch-cases.js';

testTorchCases('pictures.json.gz');
