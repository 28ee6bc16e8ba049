import type { Model } from '../model.js';
import type { Pass } from './pass.js';

/**
 * Takes weights off the list of the model's inputs. Files of IR version 3 must list them there; later ones do so to let a
 * caller replace them, and then no runtime may treat them as constants. The model becomes IR version 4 at least.
 */
export const constantInputs: Pass = { name: 'constant-inputs', run: takeWeightsOffInputs };

export function takeWeightsOffInputs(model: Model): Model {
  const listed = listedWeights(model);
  const { graph } = model;
  if (listed.size === 0 && model.irVersion >= 4) return model;
  return {
    ...model,
    irVersion: Math.max(model.irVersion, 4),
    graph: { ...graph, inputs: graph.inputs.filter(({ name }) => !listed.has(name)) },
  };
}

/** The weights that a model lists among its inputs. */
export function listedWeights({ graph }: Model): ReadonlySet<string> {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const weights = [...graph.initializers, ...graph.sparseInitializers.map(({ values }) => values)];
  return new Set(weights.map(({ name }) => name).filter((name) => inputs.has(name)));
}
