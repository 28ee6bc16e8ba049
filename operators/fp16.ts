import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { writeModel } from '../onnx/write.js';
import { describeModel } from './model-files.js';
import type { Operator } from './operator.js';
import { halveCompute } from './quantise/graph/half-compute.js';
import { halveWeights, LARGEST_HALF, type Overflow } from './quantise/graph/half-weights.js';
import { refuseQuantised } from './quantise/graph/refuse-quantised.js';
import { refuseEmulated } from './quantise/half-kernels.js';
import { wholeModel, withRecipe } from './whole-model.js';

interface Fp16Options {
  readonly compute?: 'float32' | 'float16';
  readonly overflow?: Overflow;
}

/**
 * Weights as float16: half the bytes to store and to send, computed with in float32. `compute: float16` computes in
 * float16 too, where the runtime has kernels for it.
 */
export const fp16: Operator = {
  name: 'fp16',
  optionsSchema: {
    type: ['object', 'null'],
    properties: {
      compute: { enum: ['float32', 'float16'] },
      overflow: { enum: ['keep', 'clamp', 'refuse'] },
    },
    additionalProperties: false,
  },
  version: 1,

  async apply(variant, options, { outDir }) {
    const { compute = 'float32', overflow = 'keep' } = (options ?? {}) as Fp16Options;
    const model = await wholeModel(variant, 'fp16');
    refuseQuantised(model, variant.name);
    const refuse = (tensor: string): never => {
      throw new TierbedError('invalid', `${variant.name}: ${tensor} has numbers beyond float16's ${LARGEST_HALF}`, {
        fix: 'Set overflow to `keep`, which leaves it float32, or to `clamp`.',
      });
    };
    const path = join(outDir, 'model.onnx');
    const { model: made, ...facts } =
      compute === 'float32' ? halveWeights(model, overflow, refuse) : halveCompute(model, variant.name);
    if (compute === 'float16') await refuseEmulated(made, variant.name);
    await writeModel(withRecipe(made, 'fp16'), path);
    return [{ name: variant.name, stages: [await describeModel(path)], facts: { compute, overflow, ...facts } }];
  },
};
