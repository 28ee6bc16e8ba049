import { TierbedError } from '../../base/errors.js';
import { CutGraph } from '../../onnx/frontier.js';
import type { Choice, Chosen } from './chosen.js';
import { hasTensor } from './int8-twin.js';

/** Where the published study (arXiv:2411.00907) cuts its networks, by the names of docs/zoo.md. */
const PUBLISHED: readonly { readonly of: string; readonly tensors: readonly string[] }[] = [
  { of: 'image models', tensors: ['layer3.16'] },
  { of: 'text models', tensors: ['embeddings', 'attention_bias'] },
];

/** @throws TierbedError `invalid` for a model that has no such tensors */
export function paper({ model }: Choice): Chosen {
  const graph = new CutGraph(model.graph);
  const found = PUBLISHED.find(({ tensors }) => tensors.every((name) => hasTensor(graph, name)));
  if (found) return { cuts: [found.tensors], why: `the published study cuts its ${found.of} there (arXiv:2411.00907)` };
  const places = PUBLISHED.map(({ of, tensors }) => `${of} at ${tensors.join(' and ')}`).join(', ');
  throw new TierbedError('invalid', `the published study cuts ${places}, and this model has no such tensors`, {
    fix: 'Use a model of `tierbed zoo`, or another mode: narrowest, balanced, or `at: [TENSOR]`.',
  });
}
