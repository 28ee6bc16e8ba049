import { TierbedError } from '../base/errors.js';
import type { Model } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import type { Variant } from './variant.js';

/**
 * The model of a variant that is in one piece and has no exit.
 *
 * @param operator what asks for it, for the message
 * @param fix what to do instead; unless told, to put the operator before what cuts the model
 * @throws TierbedError `invalid` when the variant is cut or has an exit; as `readModel`
 */
export async function wholeModel(
  { name, stages }: Variant,
  operator: string,
  fix = `Put ${operator} before what cuts the model: \`${operator}+partition\`.`,
): Promise<Model> {
  const [stage, ...more] = stages;
  if (!stage || more.length > 0 || stage.exit) {
    throw new TierbedError(
      'invalid',
      `${name}: ${operator} takes a whole model, and this one is in ${stages.length} stages`,
      { fix },
    );
  }
  return readModel(stage.files[0]?.path as string);
}

/** The model with the operator that made it at the end of its recipe, in its metadata. */
export function withRecipe(model: Model, operator: string): Model {
  const before = model.metadataProps.find(({ key }) => key === RECIPE)?.value;
  const value = before ? `${before}+${operator}` : operator;
  return {
    ...model,
    metadataProps: [...model.metadataProps.filter(({ key }) => key !== RECIPE), { key: RECIPE, value }],
  };
}

/** Another model with the recipe of one: what was made in its place. */
export function withRecipeOf(model: Model, made: Model): Model {
  const others = made.metadataProps.filter(({ key }) => key !== RECIPE);
  return { ...made, metadataProps: [...others, ...model.metadataProps.filter(({ key }) => key === RECIPE)] };
}

const RECIPE = 'tierbed.recipe';
