export type FlatValue = string | number | boolean;

const SPACE = '[ \\t\\r\\n]*';
const MEMBER = `"([A-Za-z]{1,32})"${SPACE}:${SPACE}("[A-Za-z0-9]{0,32}"|-?(?:0|[1-9]\\d{0,15})|true|false)`;
const WHOLE = new RegExp(`^${SPACE}\\{${SPACE}(?:${MEMBER}${SPACE}(?:,${SPACE}${MEMBER}${SPACE})*)?\\}${SPACE}$`);
const EACH = new RegExp(MEMBER, 'g');

/**
 * Reads the one shape of JSON that a body may have: an object of plain words, whole numbers and truth values, each key
 * once. Two readers of JSON can differ on what a doubled key, an escape or a deep nesting says; here there are none.
 * Undefined for everything else.
 */
export function parseFlatJson(text: string): ReadonlyMap<string, FlatValue> | undefined {
  if (!WHOLE.test(text)) return undefined;
  const members = new Map<string, FlatValue>();
  for (const [, key, value] of text.matchAll(EACH) as IterableIterator<[string, string, string]>) {
    if (members.has(key)) return undefined;
    members.set(key, JSON.parse(value) as FlatValue);
  }
  return members;
}
