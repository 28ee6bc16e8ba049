import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { parse } from 'yaml';
import { parseCheckedYaml, problemOf, showPath, type YamlPath } from '../base/checked-yaml.js';
import { messageOf, TierbedError } from '../base/errors.js';
import { checkStep } from './check-recipe.js';
import { operator } from './index.js';
import { type RecipeChoice, recipeSchema, stepsOf } from './recipe-schema.js';
import { resolvedSteps } from './resolve-steps.js';
import type { Step } from './variant.js';

/** A recipe that makes sense, as far as that is known without its workload. */
export interface Recipe {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** A recipe's file: the recipe as a study has it, alone or under a key. */
const fileSchema = {
  type: ['string', 'array', 'object'],
  if: { type: 'object' },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's word
  then: { properties: { recipe: recipeSchema }, required: ['recipe'], additionalProperties: false },
  else: recipeSchema,
};

/**
 * Reads a recipe: a YAML file when its name ends as one's does, else a text like `sptq+partition`.
 *
 * @param settings options as the command line has them, `sptq.maxDrop=1`, over those of the file
 * @throws TierbedError `missing` when the file is not there; `invalid` with file, line and key, or with the operator;
 *   `usage` with the setting that is wrong
 */
export async function readRecipe(text: string, settings: readonly string[] = []): Promise<Recipe> {
  if (!/\.ya?ml$/i.test(text)) return parseRecipeText(text, settings);
  const content = await readFile(text, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'there is no such file' : messageOf(error);
    throw new TierbedError('missing', `recipe ${text}: ${reason}`, {
      fix: 'Give the path of a recipe, or operators with + between them, e.g. sptq+partition.',
      cause: error,
    });
  });
  return parseRecipeFile(content, text, settings);
}

/** As `readRecipe`, of a text. */
export function parseRecipeText(text: string, settings: readonly string[] = []): Recipe {
  const steps = withSettings(stepsOf(text), settings);
  for (const index of steps.keys()) {
    try {
      checkStep(steps, index);
    } catch (error) {
      if (!(error instanceof TierbedError) || error.fix !== undefined) throw error;
      const fix = 'Set options with --set OPERATOR.OPTION=VALUE, or write the recipe as a YAML file.';
      throw new TierbedError(error.kind, error.message, { fix, cause: error });
    }
  }
  return { name: steps.map((step) => step.operator).join('+'), steps: resolvedSteps(steps, process.cwd()) };
}

/** As `readRecipe`, of a file's content. */
export function parseRecipeFile(content: string, file: string, settings: readonly string[] = []): Recipe {
  type FileChoice = RecipeChoice | { readonly recipe: RecipeChoice };
  const { data, errorAt } = parseCheckedYaml<FileChoice>(content, file, fileSchema);
  const inMap = typeof data === 'object' && 'recipe' in data;
  const choice = inMap ? data.recipe : data;
  const at: YamlPath = inMap ? ['recipe'] : [];
  const located = <T>(path: YamlPath, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof TierbedError) || error.kind === 'usage') throw error;
      throw errorAt(path, error.message, { cause: error });
    }
  };
  const steps = withSettings(
    located(at, () => resolvedSteps(stepsOf(choice), dirname(resolve(file)))),
    settings,
  );
  for (const index of steps.keys()) {
    located(typeof choice === 'string' ? at : [...at, index], () => checkStep(steps, index));
  }
  return { name: basename(file, extname(file)), steps: resolvedSteps(steps, process.cwd()) };
}

/** The steps with the options that the command line sets. @throws TierbedError `usage` with the setting */
function withSettings(steps: readonly Step[], settings: readonly string[]): readonly Step[] {
  let set = steps;
  for (const setting of settings) {
    const { name, path, value } = parseSetting(setting);
    const found = steps.flatMap((step, index) => (step.operator === name ? [index] : []));
    if (found.length !== 1) {
      const names = [...new Set(steps.map((step) => step.operator))].join(', ');
      throw new TierbedError('usage', `--set ${setting}: the recipe has ${found.length || 'no'} ${name}`, {
        fix:
          found.length === 0
            ? `It has: ${names || 'no operators'}.`
            : 'Write the recipe as a YAML file, where each has options of its own.',
      });
    }
    const schema = operator(name).optionsSchema;
    set = set.map((step, index) =>
      index === found[0] ? { ...step, options: setIn(step.options, path, asList(value, path, schema)) } : step,
    );
    const options = set[found[0] as number]?.options;
    // What is still missing may be in the next one; the whole is checked at the end.
    const problem = problemOf(options, schema);
    if (problem && path.every((key, i) => problem.path[i] === undefined || String(problem.path[i]) === key)) {
      if (problem.path.length === 0) continue;
      throw new TierbedError('usage', `--set ${setting}: ${showPath([name, ...problem.path])}: ${problem.message}`, {
        ...(problem.fix !== undefined && { fix: problem.fix }),
      });
    }
  }
  return set;
}

/** `sptq.maxDrop=1`: the operator, the keys of the option, and its value, which is YAML. */
function parseSetting(setting: string): { name: string; path: readonly string[]; value: unknown } {
  const [, name, keys, text] = /^([^.=]+)\.([^=]+)=(.*)$/s.exec(setting) ?? [];
  const path = keys?.split('.') ?? [];
  if (name === undefined || text === undefined || path.some((key) => key === '')) {
    throw new TierbedError('usage', `--set ${setting}: not an option and its value`, {
      fix: 'Write it as OPERATOR.OPTION=VALUE, e.g. --set sptq.maxDrop=1.',
    });
  }
  try {
    return { name, path, value: parse(text) };
  } catch (error) {
    throw new TierbedError('usage', `--set ${setting}: ${messageOf(error).split('\n')[0]}`, {
      fix: 'The value is YAML: quote what has colons or braces in it.',
      cause: error,
    });
  }
}

/** Where the operator takes a list, a value alone is a list of one. */
function asList(value: unknown, path: readonly string[], schema: object): unknown {
  if (typeof value === 'object') return value;
  let at: { readonly type?: unknown; readonly properties?: object; readonly additionalProperties?: unknown } = schema;
  for (const key of path) {
    const properties = at.properties as Readonly<Record<string, object>> | undefined;
    const found = properties && Object.hasOwn(properties, key) ? properties[key] : at.additionalProperties;
    if (typeof found !== 'object' || found === null) return value;
    at = found;
  }
  const types = [at.type].flat();
  return types.includes('array') && !types.includes(typeof value) ? [value] : value;
}

function setIn(options: Step['options'], [key, ...rest]: readonly string[], value: unknown): Step['options'] {
  if (key === undefined) return options;
  const inner = options[key];
  const map = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {};
  return { ...options, [key]: rest.length === 0 ? value : setIn(map as Step['options'], rest, value) };
}
