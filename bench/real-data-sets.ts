// The data sets of bench:real-data, each with its workload and its recipes.
import { operator } from '../operators/index.js';
import type { Step } from '../operators/variant.js';
import type { Workload } from '../workloads/types.js';
import type { StudentNetwork } from './real-data-export.js';
import {
  PICTURE_STUDENT,
  pictureRecipes,
  type Recipe,
  type RecipeSettings,
  TEXT_STUDENT,
  textRecipes,
} from './real-data-recipes.js';
import { recipeKey } from './real-data-runs.js';
import { CIFAR, cifar, SST2, sst2 } from './real-data-workloads.js';

export interface DataSet {
  readonly name: string;
  /** What its items and its network are: part of the keys of its runs. */
  readonly description: unknown;
  /** @param folder for files that are made */
  load(seed: number, folder: string): Promise<Workload>;
  recipes(settings: RecipeSettings): readonly Recipe[];
  /** The student as it is built, for its first weights. */
  readonly student: StudentNetwork;
}

export const DATA: readonly DataSet[] = [
  { name: 'cifar10', description: CIFAR, load: cifar, recipes: pictureRecipes, student: PICTURE_STUDENT },
  { name: 'sst2', description: SST2, load: sst2, recipes: textRecipes, student: TEXT_STUDENT },
];

export interface KeyedRecipe extends Recipe {
  readonly key: string;
}

/** Steps with their operators' versions: what an operator of another version makes is another thing. */
function versioned(steps: readonly Step[]) {
  return steps.map((step) => ({ ...step, version: operator(step.operator).version }));
}

/** The recipes of a seed with their keys, which are the same for all seeds. */
export function keyedRecipes({ description, recipes }: DataSet, settings: RecipeSettings): KeyedRecipe[] {
  const unseeded = recipes({ ...settings, seed: 0 });
  return recipes(settings).map((recipe, i) => ({
    ...recipe,
    key: recipeKey(description, versioned((unseeded[i] as Recipe).steps)),
  }));
}
