import { testTorchCases } from './support/torch-cases.js';

testTorchCases('convolution.json.gz');
testTorchCases('conv-transpose.json.gz');
