import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../base/paths.js';
import type { Step } from '../../operators/variant.js';
import { parseStudy } from '../../services/orchestrator/study/study.js';

/** Studies of the project's own workloads whose trained steps it keeps, so that nobody who runs them waits for training. */
const STUDIES = ['quickstart.yaml'];

/** The recipes of these studies, by name. */
export async function ownRecipes(): Promise<ReadonlyMap<string, readonly Step[]>> {
  const recipes = new Map<string, readonly Step[]>();
  for (const file of STUDIES) {
    const path = join(packageRoot, 'studies', file);
    const { study } = parseStudy(await readFile(path, 'utf8'), path);
    for (const [name, steps] of Object.entries(study.recipes)) recipes.set(name, steps);
  }
  return recipes;
}
