import { TierbedError } from '../base/errors.js';
import { OPERATORS, operator } from './index.js';
import type { Step } from './variant.js';

/**
 * One operator as it is written: its name alone, or a map from its name to its options, with the workloads that it is for
 * beside it.
 */
type StepChoice =
  | string
  | Readonly<Record<string, Readonly<Record<string, unknown>> | string | readonly string[] | null>>;

/** The key of a step beside its operator's. */
const FOR = 'for';

/** A recipe as it is written: `sptq+partition`, or a list of operators. */
export type RecipeChoice = string | readonly StepChoice[];

/** Of each operator: no other beside it. */
const ALONE = Object.fromEntries(OPERATORS.map(({ name }) => [name, { propertyNames: { enum: [name, FOR] } }]));

const stepSchema = {
  type: ['string', 'object'],
  properties: {
    ...Object.fromEntries(OPERATORS.map(({ name, optionsSchema }) => [name, optionsSchema])),
    [FOR]: { type: ['string', 'array'], minLength: 1, minItems: 1, items: { type: 'string', minLength: 1 } },
  },
  additionalProperties: false,
  minProperties: 1,
  // With `for` two, and without it one: it names no operator.
  maxProperties: 2,
  dependencies: { [FOR]: { minProperties: 2 }, ...ALONE },
  if: { type: 'string' },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
  then: { enum: OPERATORS.map(({ name }) => name) },
};

/** JSON Schema of a `RecipeChoice`. The names in a text are for `stepsOf` to check. */
export const recipeSchema = { type: ['string', 'array'], minLength: 1, items: stepSchema };

/**
 * The steps of a recipe that fits `recipeSchema`.
 *
 * @throws TierbedError `invalid` when a text is no chain of operators
 */
export function stepsOf(recipe: RecipeChoice): readonly Step[] {
  return typeof recipe === 'string' ? stepsOfText(recipe) : recipe.map(stepOf);
}

function stepOf(choice: StepChoice): Step {
  if (typeof choice === 'string') return { operator: choice, options: {} };
  const { [FOR]: only, ...rest } = choice;
  const [name, options] = Object.entries(rest)[0] as [string, Step['options'] | null];
  const names = typeof only === 'string' ? [only] : (only as readonly string[] | undefined);
  return { operator: name, options: options ?? {}, ...(names && { for: names }) };
}

function stepsOfText(text: string): Step[] {
  const names = text.split('+').map((name) => name.trim());
  if (names.includes('')) {
    throw new TierbedError('invalid', `'${text}' is no recipe: an operator's name is missing in it`, {
      fix: "Write the operators' names with '+' between them, e.g. sptq+partition.",
    });
  }
  return names.map((name) => ({ operator: operator(name).name, options: {} }));
}
