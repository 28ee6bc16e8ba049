import { Random } from '../../../base/random.js';
import type { WorkloadPart } from '../../types.js';
import { anyClause, type Clause, easyClause } from './clauses.js';
import { THINGS } from './words.js';

/** What a text says of the thing that is asked for. */
export const TEXT_CLASSES = ['good', 'bad', 'mixed', 'asked', 'unsaid'] as const;

export type TextClass = (typeof TEXT_CLASSES)[number];

export interface Text {
  /** The thing that is asked for. */
  readonly thing: string;
  readonly words: readonly string[];
  readonly label: TextClass;
}

/** Words of a text at most: with two special tokens it fits 26. */
const LONGEST = 24;

/**
 * Text `index` of a part: up to three clauses about two or three things, one of which is asked for. Classes take turns.
 * In the training part every second round of them is made of easy clauses, from which words are learned. It depends on
 * seed, part and index alone.
 */
export function writeText(seed: number, part: WorkloadPart, index: number): Text {
  const random = new Random(seed).fork(`text ${part} ${index}`);
  const label = TEXT_CLASSES[index % TEXT_CLASSES.length] as TextClass;
  const easy = part === 'training' && Math.floor(index / TEXT_CLASSES.length) % 2 === 0;
  for (;;) {
    const things = someThings(random, 2 + random.integer(2));
    const thing = random.pick(things);
    const clauses = Array.from({ length: 1 + random.integer(easy ? 2 : 3) }, () => {
      const [a, b] = random.shuffle(things) as [string, string];
      return easy ? easyClause(random, a, b) : anyClause(random, a, b);
    });
    if (clauses.every(({ judged }) => judged.length === 0)) continue;
    const words = clauses.flatMap((clause) => [...clause.words, '.']);
    if (words.length <= LONGEST && words.includes(thing) && classOf(thing, clauses) === label) {
      return { thing, words, label };
    }
  }
}

/** What clauses say of a thing, taken together. */
export function classOf(thing: string, clauses: readonly Clause[]): TextClass {
  const signs = new Set(clauses.flatMap(({ judged }) => judged.filter(([name]) => name === thing).map(([, s]) => s)));
  if (signs.size === 2) return 'mixed';
  if (signs.has(1)) return 'good';
  if (signs.has(-1)) return 'bad';
  return clauses.some(({ open }) => open.includes(thing)) ? 'asked' : 'unsaid';
}

function someThings(random: Random, count: number): string[] {
  const things = new Set<string>();
  while (things.size < count) things.add(random.pick(THINGS));
  return [...things];
}
