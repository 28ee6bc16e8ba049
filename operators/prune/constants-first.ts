import { constantFolding } from '../../onnx/passes/constant-folding.js';
import { constantInputs } from '../../onnx/passes/constant-inputs.js';
import { constantNodes } from '../../onnx/passes/constant-nodes.js';
import { deadCode } from '../../onnx/passes/dead-code.js';
import type { Pass } from '../../onnx/passes/pass.js';

/** What makes all weights and shapes of a model initializers. Normalisations stay: they are trained with the rest. */
export const CONSTANTS_FIRST: readonly Pass[] = [constantInputs, constantNodes, deadCode, constantFolding, deadCode];
