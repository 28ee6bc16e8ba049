import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { messageOf, TierbedError } from './errors.js';

/** Where in a document something is: keys and indexes from the root. */
export type YamlPath = readonly (string | number)[];

/** A YAML file whose data fits its schema, and which still knows on which line each thing stands. */
export interface CheckedYaml<T> {
  readonly data: T;
  /** An `invalid` error (or one of another kind) that begins with file, line and key. */
  errorAt(path: YamlPath, message: string, options?: { fix?: string; cause?: TierbedError }): TierbedError;
}

/**
 * Reads YAML and checks it against a JSON Schema.
 *
 * @param file the name that errors give
 * @throws TierbedError `invalid` with file, line, key, what is wrong and the values allowed
 */
export function parseCheckedYaml<T>(text: string, file: string, schema: object): CheckedYaml<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const broken = document.errors[0];
  if (broken) {
    const line = lines.linePos(broken.pos[0]).line;
    throw new TierbedError('invalid', `${file}:${line}: ${messageOf(broken).split('\n')[0]}`, { cause: broken });
  }
  const lineOf = (path: YamlPath): number => lines.linePos(offsetOf(document, path)).line;
  const errorAt: CheckedYaml<T>['errorAt'] = (path, message, { fix, cause } = {}) => {
    const key = showPath(path);
    return new TierbedError(cause?.kind ?? 'invalid', `${file}:${lineOf(path)}: ${key ? `${key}: ` : ''}${message}`, {
      ...((fix ?? cause?.fix) === undefined ? {} : { fix: (fix ?? cause?.fix) as string }),
      cause,
    });
  };
  let data: unknown;
  try {
    data = document.toJS();
  } catch (error) {
    throw new TierbedError('invalid', `${file}: ${messageOf(error)}`, { cause: error });
  }
  const problem = problemOf(data, schema);
  if (problem) throw errorAt(problem.path, problem.message, problem.fix === undefined ? {} : { fix: problem.fix });
  return { data: data as T, errorAt };
}

/** What is wrong with data, and where in it; undefined when it fits its JSON Schema. */
export function problemOf(
  data: unknown,
  schema: object,
): { readonly path: YamlPath; readonly message: string; readonly fix?: string } | undefined {
  const validate = validatorOf(schema);
  return validate(data) ? undefined : explain(mostTelling(validate.errors ?? []));
}

const validators = new WeakMap<object, ValidateFunction>();

/** Compiled once for each schema: that takes longer than everything else here. */
function validatorOf(schema: object): ValidateFunction {
  const known = validators.get(schema);
  if (known) return known;
  const validate = new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true, strict: false }).compile(schema);
  validators.set(schema, validate);
  return validate;
}

/** The offset of the node at a path, of its key where it has one, or of the nearest thing around it that exists. */
function offsetOf(document: Document, path: YamlPath): number {
  for (let length = path.length; length > 0; length--) {
    const parent = document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => (isScalar(key) ? String(key.value) : String(key)) === String(last));
      if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
    }
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

/** `recipes.halves[0].partition`. */
export function showPath(path: YamlPath): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}

/** The most telling of a schema's errors, for data that is no YAML file: where, what, and the fix where one is near. */
export function explainErrors(errors: readonly ErrorObject[]): { place: string; message: string; fix?: string } {
  const { path, ...rest } = explain(mostTelling(errors));
  return { place: showPath(path), ...rest };
}

/** Of several errors the deepest, and there an unknown key before anything else: a misspelt key is also a missing one. */
function mostTelling(errors: readonly ErrorObject[]): ErrorObject {
  const rank = (error: ErrorObject): number =>
    (error.keyword === 'additionalProperties' ? 1000 : 0) +
    (error.keyword === 'if' ? -1000 : 0) +
    error.instancePath.split('/').length;
  return errors.reduce((best, error) => (rank(error) > rank(best) ? error : best));
}

function explain(error: ErrorObject): { path: YamlPath; message: string; fix?: string } {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const schema = error.parentSchema as { properties?: object; propertyNames?: { pattern?: string } };
  switch (error.keyword) {
    case 'additionalProperties': {
      const unknown = String(error.params.additionalProperty);
      const known = Object.keys(schema.properties ?? {});
      const allowed = known.length > 0 ? `; allowed: ${known.join(', ')}` : '; nothing is allowed here';
      return { path: [...path, unknown], message: `unknown key${allowed}`, ...suggest(unknown, known) };
    }
    case 'enum': {
      const allowed = (error.params.allowedValues as unknown[]).map(String);
      return {
        path,
        message: `${JSON.stringify(error.data)} is not allowed; allowed: ${allowed.join(', ')}`,
        ...suggest(String(error.data), allowed),
      };
    }
    case 'required':
      return { path, message: `the key '${error.params.missingProperty}' is missing` };
    case 'type':
      return { path, message: `expected ${[error.params.type].flat().join(' or ')}, got ${describe(error.data)}` };
    case 'pattern':
    case 'propertyNames':
      return {
        path,
        message: `${JSON.stringify(error.keyword === 'pattern' ? error.data : error.params.propertyName)} is not a name: letters, digits, '-' and '_' only`,
      };
    default:
      return { path, message: `${error.message ?? 'is wrong'}, got ${describe(error.data)}` };
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return Object.keys(value).length === 0 ? 'an empty map' : 'a map';
  return JSON.stringify(value);
}

/** The nearest of the known words, as an error's `fix`, unless none is near. */
export function suggest(word: string, known: readonly string[]): { fix?: string } {
  const best = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .reduce((a, b) => (b.distance < a.distance ? b : a), { candidate: '', distance: Number.POSITIVE_INFINITY });
  return best.distance <= Math.max(2, Math.floor(best.candidate.length / 2)) && best.distance < best.candidate.length
    ? { fix: `Did you mean '${best.candidate}'?` }
    : {};
}

/** Levenshtein's distance: insertions, deletions and substitutions, one each. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
