import { TierbedError } from '../../base/errors.js';
import type { Model } from '../../onnx/model.js';
import { refuseQuantised } from './graph/refuse-quantised.js';

/** Scales by channel, and int8 kernels of most types of nodes, came with this version of ai.onnx. */
const LEAST_OPSET = 13;

/**
 * A float model ready to be quantised.
 *
 * @throws TierbedError `invalid` when it is quantised already, or is for operators that are too old
 */
export async function preparedFloat(model: Model, name: string): Promise<{ model: Model; facts: object }> {
  refuseQuantised(model, name);
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 1;
  if (opset < LEAST_OPSET) {
    throw new TierbedError('invalid', `${name} is for version ${opset} of ai.onnx, and int8 takes ${LEAST_OPSET}`, {
      fix: 'Export the model for opset 17.',
    });
  }
  return { model, facts: {} };
}
