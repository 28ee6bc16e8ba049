import { TierbedError } from '../base/errors.js';
import { DATA_TYPE, type Model } from './model.js';

/**
 * A model that is given some of its weights anew in each run: they are inputs, behind its own.
 *
 * @param weights names of float32 initializers
 * @throws TierbedError `invalid` for a name that is none
 */
export function weightsAsInputs(model: Model, weights: readonly string[]): Model {
  const { graph } = model;
  const found = new Map(graph.initializers.map((each) => [each.name, each]));
  const listed = new Set(weights);
  const inputs = weights.map((name) => {
    const weight = found.get(name);
    if (!weight || weight.dataType !== DATA_TYPE.float32) {
      throw new TierbedError('invalid', `${name} is no float32 weight of the model`);
    }
    const type = { kind: 'tensor', elemType: DATA_TYPE.float32, shape: weight.dims } as const;
    return { name, type, docString: '', metadataProps: [] };
  });
  // Files of IR version 3 list their weights as inputs too.
  const own = graph.inputs.filter(({ name }) => !found.has(name));
  const initializers = graph.initializers.filter(({ name }) => !listed.has(name));
  // From version 4 on initializers need not be inputs.
  const irVersion = Math.max(4, model.irVersion);
  return { ...model, irVersion, graph: { ...graph, inputs: [...own, ...inputs], initializers } };
}
