import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { TierbedError } from '../../base/errors.js';
import { modelPaths } from '../../onnx/model-paths.js';
import { openModel } from '../../onnx/runtime/session.js';
import { postprocess } from '../postprocess/index.js';
import type { MetricKind } from './metric.js';
import { shareRight } from './share-right.js';
import { firstIsRight } from './top1.js';

/**
 * The share of predictions that are those of another model, 0 to 1: of data without labels, what is kept of a larger
 * model. Its predictions on the same items, with the same preprocessing and postprocessing, are the labels.
 */
export const agreement: MetricKind = {
  name: 'agreement',
  schema: { properties: { with: { type: 'string', minLength: 1 } }, required: ['with'] },
  models: ['with'],
  with: () => shareRight('agreement', 'agreement', (prediction, label) => prediction === label || firstIsRight(prediction, label)),
  misfit({ postprocess: { kind } }) {
    if (kind !== 'numbers') return undefined;
    return {
      at: ['metric'],
      message: "'agreement' compares answers that are the same or not, and the postprocessing 'numbers' gives numbers",
      fix: 'Postprocess with argmax or digest, or use the metric mse.',
    };
  },
  async labels(options, context) {
    const path = context.resolvePath(String(options.with));
    // Of a ranking the likeliest class counts.
    const spec = context.postprocess.kind === 'argmax' ? { ...context.postprocess, top: 1 } : context.postprocess;
    const identity = `${await hashModel(path)} ${JSON.stringify(spec)}`;
    let session: Awaited<ReturnType<typeof openModel>> | undefined;
    return {
      identity,
      async label(inputs) {
        session ??= await openModel(path);
        const given = session.inputs.map(({ name }) => {
          const found = inputs.find((input) => input.name === name);
          if (found) return found;
          throw new TierbedError('invalid', `${path} takes '${name}', which the items do not have`, {
            fix: `Use a model with these inputs: ${inputs.map((input) => input.name).join(', ')}.`,
          });
        });
        return postprocess(spec, await session.run(given));
      },
      close: async () => session?.close(),
    };
  },
};

/** The sha256 of a model: of its file and those of its external data. */
async function hashModel(path: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await modelPaths(path)) {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
