import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { inferValues } from '../onnx/infer.js';
import { writeModel } from '../onnx/write.js';
import { describeModel } from './model-files.js';
import type { Operator } from './operator.js';
import { countTypes, groupLeft } from './quantise/facts.js';
import { candidates, checkChoice } from './quantise/graph/choice.js';
import { DYNAMIC_TYPES, writeInteger } from './quantise/graph/integer.js';
import { View } from './quantise/graph/view.js';
import { choiceSchema, type DynamicOptions, weightSchema } from './quantise/options.js';
import { preparedFloat } from './quantise/prepared-float.js';
import { int8Saturates } from './quantise/saturation.js';
import { refuseSmallerWeights } from './smaller-weights.js';
import { wholeModel, withRecipe } from './whole-model.js';

/**
 * Weights int8, activations quantised as they come: needs no data. For models whose time goes into MatMul and Gemm, as
 * that of transformers does.
 */
export const dynamic: Operator = {
  name: 'dynamic',
  summary: 'weights in int8, activations quantised while it runs',
  optionsSchema: {
    type: ['object', 'null'],
    properties: { ...weightSchema, ...choiceSchema },
    additionalProperties: false,
  },
  version: 2,
  after: refuseSmallerWeights,

  async apply(variant, options, { outDir }) {
    const { perChannel = true, reduceRange = false, ...choice } = (options ?? {}) as DynamicOptions;
    const given = await wholeModel(variant, 'dynamic');
    const { model, facts } = await preparedFloat(given, variant.name);
    const view = new View(model, await inferValues(model));
    checkChoice(choice, view, DYNAMIC_TYPES);
    const { types, left } = candidates(view, choice, DYNAMIC_TYPES);
    if (types.size === 0) {
      throw new TierbedError('invalid', `${variant.name} has no node that dynamic quantises`, {
        fix: 'Use sptq; or name Conv in nodeTypes, for its size alone: integer convolutions are slower than float ones.',
      });
    }
    const path = join(outDir, 'model.onnx');
    const made = writeInteger(view, new Set(types.keys()), { perChannel, reduceRange });
    await writeModel(withRecipe(made, 'dynamic'), path);
    return [
      {
        name: variant.name,
        stages: [await describeModel(path)],
        facts: {
          ...{ perChannel, reduceRange, preparation: facts, saturates: !reduceRange && (await int8Saturates()) },
          quantised: countTypes([...types.keys()].map((i) => view.node(i))),
          left: groupLeft(left),
        },
      },
    ];
  },
};
