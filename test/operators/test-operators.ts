// Operators to test recipes with. Imported, they are in the table; `node --import` puts them into the `tierbed` command.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TierbedError } from '../../base/errors.js';
import type { Initializer, Model } from '../../onnx/model.js';
import { readModel } from '../../onnx/read.js';
import { writeModel } from '../../onnx/write.js';
import { OPERATORS } from '../../operators/index.js';
import { describeModel } from '../../operators/model-files.js';
import type { Operator, OperatorContext } from '../../operators/operator.js';
import type { StageModel, Variant } from '../../operators/variant.js';

const options = (properties: Readonly<Record<string, object>>): object => {
  return { type: 'object', properties, additionalProperties: false };
};

/** How often each operator was applied in this process. */
export const applied = new Map<string, number>();

async function changed(
  { stages }: Pick<Variant, 'stages'>,
  { outDir }: OperatorContext,
  change: (model: Model) => Model,
  name = 'model.onnx',
): Promise<readonly StageModel[]> {
  const path = join(outDir, name);
  await writeModel(change(await readModel(stages[0]?.files[0]?.path as string)), path);
  return [await describeModel(path)];
}

/** Writes a word into the model. */
const note: Operator = {
  name: 'note',
  optionsSchema: options({
    text: { type: 'string' },
    list: { type: 'array', items: { type: 'string' } },
    n: { type: 'integer' },
    reads: { type: 'boolean' },
  }),
  version: 1,
  reads: ({ reads }) => (reads ? ['calibration'] : []),
  async apply(variant, { text = 'noted' }, context) {
    const stages = await changed(variant, context, (model) => ({ ...model, docString: String(text) }));
    return [{ ...variant, stages, facts: { text } }];
  },
};

/** Sets all weights of a layer to zero. */
const erase: Operator = {
  name: 'erase',
  optionsSchema: { ...options({ weight: { type: 'string' } }), required: ['weight'] },
  version: 1,
  async apply(variant, { weight }, context) {
    const zero = (w: Initializer): Initializer =>
      w.name === weight && w.data.kind === 'raw'
        ? { ...w, data: { ...w.data, bytes: new Uint8Array(w.data.bytes.byteLength) } }
        : w;
    const stages = await changed(variant, context, (model) => {
      return { ...model, graph: { ...model.graph, initializers: model.graph.initializers.map(zero) } };
    });
    return [{ ...variant, stages }];
  },
};

/** Two variants. */
const both: Operator = {
  name: 'both',
  optionsSchema: options({}),
  version: 1,
  async apply(variant, _, context) {
    return [
      { ...variant, name: `${variant.name}-a`, stages: await changed(variant, context, (m) => m, 'a.onnx') },
      { ...variant, name: `${variant.name}-b`, stages: await changed(variant, context, (m) => m, 'b.onnx') },
    ];
  },
};

const nothing: Operator = { name: 'nothing', optionsSchema: options({}), version: 1, apply: async () => [] };

/** Gives the model twice, one behind the other, and has not said so. */
const sneaky: Operator = {
  name: 'sneaky',
  optionsSchema: options({}),
  version: 1,
  apply: async (variant) => [{ ...variant, stages: [...variant.stages, ...variant.stages] }],
};

/** Does not stand behind a note. */
const choosy: Operator = {
  name: 'choosy',
  optionsSchema: options({}),
  version: 1,
  after: (previous) =>
    previous.some(({ operator }) => operator === 'note')
      ? { reason: 'it reads no notes', fix: 'Leave note out.' }
      : undefined,
  apply: async (variant) => [variant],
};

/** Writes that many bytes beside the model. */
const large: Operator = {
  name: 'large',
  optionsSchema: options({ bytes: { type: 'integer' } }),
  version: 1,
  async apply(variant, { bytes }, context) {
    await writeFile(join(context.outDir, 'large'), new Uint8Array(bytes as number));
    return [{ ...variant, stages: await changed(variant, context, (m) => m) }];
  },
};

/** Says that it is there, works on a hundred items of a tenth of a second each, and looks at the signal between them. */
const slow: Operator = {
  name: 'slow',
  optionsSchema: options({}),
  version: 1,
  async apply(variant, _, { outDir, progress, signal }) {
    await writeFile(join(outDir, 'half.onnx'), 'half a model');
    progress.start('being slow', 100);
    for (let i = 0; i < 100; i++) {
      if (signal.aborted) throw new TierbedError('cancelled', 'cancelled while it was slow');
      for (const endMs = performance.now() + 90; performance.now() < endMs; );
      await delay(10);
      progress.update(i + 1);
    }
    progress.stop();
    return [variant];
  },
};

/** Works for ten seconds whatever the signal says, and then writes a file. */
const deaf: Operator = {
  name: 'deaf',
  optionsSchema: options({ done: { type: 'string' } }),
  version: 1,
  async apply(variant, { done }, { outDir }) {
    await writeFile(join(outDir, 'half.onnx'), 'half a model');
    for (let i = 0; i < 100; i++) {
      for (const endMs = performance.now() + 90; performance.now() < endMs; );
      await delay(10);
    }
    await writeFile(String(done), 'done');
    return [variant];
  },
};

for (const operator of [note, erase, both, nothing, sneaky, choosy, large, slow, deaf]) {
  const apply: Operator['apply'] = (...given) => {
    applied.set(operator.name, (applied.get(operator.name) ?? 0) + 1);
    return operator.apply(...given);
  };
  (OPERATORS as Operator[]).push({ ...operator, apply });
}
