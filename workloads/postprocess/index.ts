import { TierbedError } from '../../base/errors.js';
import type { NamedTensor } from '../../onnx/tensor.js';
import type { PostprocessSpec } from '../types.js';
import { argmax } from './argmax.js';
import { digest } from './digest.js';
import { numbers } from './numbers.js';

/** What turns a model's outputs into a prediction, by the spec's `kind`: a new one is a file here and a line below. */
const POSTPROCESSORS: {
  readonly [K in PostprocessSpec['kind']]: (
    spec: Extract<PostprocessSpec, { kind: K }>,
    outputs: readonly NamedTensor[],
  ) => string;
} = {
  argmax,
  digest: (_, outputs) => digest(outputs),
  numbers,
};

/**
 * Turns the outputs of one request into its prediction, as it is recorded and compared with the item's label.
 *
 * @throws TierbedError `invalid` when the spec names no postprocessing, an output is missing, or it holds no answer
 */
export function postprocess(spec: PostprocessSpec, outputs: readonly NamedTensor[]): string {
  const run = POSTPROCESSORS[spec.kind] as
    | ((spec: PostprocessSpec, outputs: readonly NamedTensor[]) => string)
    | undefined;
  if (!run) {
    throw new TierbedError('invalid', `there is no postprocessing '${spec.kind}'`, {
      fix: `Use one of: ${Object.keys(POSTPROCESSORS).join(', ')}.`,
    });
  }
  return run(spec, outputs);
}
