import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { cutModel } from '../onnx/cut.js';
import { readModel } from '../onnx/read.js';
import { writeModel } from '../onnx/write.js';
import { describeModel } from './model-files.js';
import type { Operator } from './operator.js';
import type { StageModel } from './variant.js';

/** One cut: the tensors that cross it; one alone may be written without a list. */
type Cut = string | readonly string[];

interface PartitionOptions {
  /** The cuts in the order in which a request passes them; or such a list for each workload that is to be cut. */
  readonly at: readonly Cut[] | Readonly<Record<string, readonly Cut[]>>;
}

const cutsSchema = {
  type: 'array',
  minItems: 1,
  items: { type: ['string', 'array'], minLength: 1, minItems: 1, items: { type: 'string', minLength: 1 } },
};

/** Cuts the model at the tensors named: k cuts make k + 1 stages. */
export const partition: Operator = {
  name: 'partition',
  summary: 'cuts the model in stages at tensors',
  optionsSchema: {
    type: 'object',
    properties: {
      at: { ...cutsSchema, type: ['array', 'object'], minProperties: 1, additionalProperties: cutsSchema },
    },
    required: ['at'],
    additionalProperties: false,
  },
  version: 1,
  gives: () => 'stages',

  after(previous) {
    if (!previous.some(({ operator }) => operator === 'partition')) return undefined;
    return {
      reason: 'it cuts a whole model, and the partition before it has cut it already',
      fix: 'Name all cuts in one partition: `partition: { at: [FIRST, SECOND] }`.',
    };
  },

  check(options, workloads) {
    const { at } = options as unknown as PartitionOptions;
    if (isList(at)) return;
    const unknown = Object.keys(at).find((name) => !workloads.includes(name));
    if (unknown === undefined) return;
    throw new TierbedError('invalid', `partition.at names the workload '${unknown}', which the study has not`, {
      fix: `Use one of: ${workloads.join(', ')}; or give one list of cuts for all.`,
    });
  },

  async apply(variant, options, { workload, outDir }) {
    const { at } = options as unknown as PartitionOptions;
    const cuts = isList(at) ? at : at[workload.name];
    if (!cuts) return [];
    const [only, ...more] = variant.stages;
    if (!only || more.length > 0) {
      throw new TierbedError('invalid', `${variant.name}: partition cuts a whole model, and this one is cut already`, {
        fix: 'Name all cuts in one partition: `partition: { at: [FIRST, SECOND] }`.',
      });
    }
    const model = await readModel(only.files[0]?.path as string);
    const models = await cutModel(
      model,
      cuts.map((cut) => (typeof cut === 'string' ? [cut] : [...cut])),
    );
    const stages: StageModel[] = [];
    for (const [i, stage] of models.entries()) {
      const folder = join(outDir, `stage-${i}`);
      await mkdir(folder);
      const path = join(folder, 'model.onnx');
      await writeModel(stage, path);
      stages.push(await describeModel(path));
    }
    return [{ ...variant, stages }];
  },
};

function isList(at: PartitionOptions['at']): at is readonly Cut[] {
  return Array.isArray(at);
}
