import type { Random } from '../../../base/random.js';
import {
  BEATING,
  BLAME,
  DEGREES,
  DENIALS,
  DISLIKING,
  GROUPS,
  HANDLING,
  HOLDING,
  LIKING,
  NUMBERS,
  PEOPLE,
  PLACES,
  PRAISE,
  TURNING,
} from './words.js';

/** 1 praises, -1 blames. */
export type Sign = 1 | -1;

/** Words, and what they say of the things in them. */
export interface Clause {
  readonly words: readonly string[];
  /** Of each thing that is judged, by name: how. */
  readonly judged: readonly (readonly [thing: string, sign: Sign])[];
  /** Things of which it is asked or supposed, and not said. */
  readonly open: readonly string[];
}

type Form = (random: Random, a: string, b: string) => Clause;

const opposite = (sign: Sign): Sign => (sign === 1 ? -1 : 1);
const anySign = (random: Random): Sign => (random.integer(2) === 0 ? 1 : -1);

/** Frequent words are the first of their list, as in any language. */
const frequent = (random: Random, words: readonly string[]): string =>
  words[Math.floor(words.length * random.uniform() ** 2)] as string;
const adjective = (random: Random, sign: Sign): string => frequent(random, sign === 1 ? PRAISE : BLAME);
const person = (random: Random): string => frequent(random, PEOPLE);

/**
 * `very lovely`, `lovely`, or with `not`, which turns it round. Where half of them were turned round, a word by itself
 * would say nothing, and a network that does not know words yet could not find out what `not` does.
 */
function predicate(random: Random): { readonly words: readonly string[]; readonly sign: Sign } {
  const sign = anySign(random);
  const word = adjective(random, sign);
  const form = random.integer(10);
  if (form < 5) return { words: [word], sign };
  if (form < 8) return { words: [random.pick(DEGREES), word], sign };
  return { words: [random.pick(DENIALS), word], sign: opposite(sign) };
}

const plain: Form = (random, a) => {
  const { words, sign } = predicate(random);
  return { words: ['the', a, 'is', ...words], judged: [[a, sign]], open: [] };
};

/** The nearest thing to what is said is not what it is said of. */
const besides: Form = (random, a, b) => {
  const { words, sign } = predicate(random);
  const place = random.pick(PLACES);
  const inner =
    random.integer(2) === 0
      ? [place, 'the', b]
      : [random.pick(['that', 'which']), person(random), random.pick(HANDLING), place, 'the', b];
  return { words: ['the', a, ...inner, 'is', ...words], judged: [[a, sign]], open: [] };
};

/** A judgement within another. */
const within: Form = (random, a, b) => {
  const outer = predicate(random);
  const inner = predicate(random);
  const nested = random.integer(2) === 0 ? ['that', 'is'] : ['which', 'was'];
  return {
    words: ['the', a, ...nested, random.pick(PLACES), 'the', b, 'which', 'is', ...inner.words, 'is', ...outer.words],
    judged: [
      [a, outer.sign],
      [b, inner.sign],
    ],
    open: [],
  };
};

/** Who does it to whom. */
const comparison: Form = (random, a, b) => {
  const [does, plainForm, done] = random.pick(BEATING);
  const form = random.integer(4);
  const words = [
    ['the', a, does, 'the', b],
    ['the', b, 'is', done, 'by', 'the', a],
    ['the', b, 'does', 'not', plainForm, 'the', a],
    ['the', a, 'is', 'not', done, 'by', 'the', b],
  ][form] as string[];
  return {
    words,
    judged: [
      [a, 1],
      [b, -1],
    ],
    open: [],
  };
};

/** What most of them think; those that are counted are more often most of them than not. */
const counted: Form = (random, a) => {
  const all = 3 + random.integer(7);
  let some = 1 + Math.max(random.integer(all - 1), random.integer(all - 1));
  if (2 * some === all) some += anySign(random);
  const sign = anySign(random);
  const verb = random.pick(sign === 1 ? LIKING : DISLIKING);
  const group = frequent(random, GROUPS);
  const words = [NUMBERS[some - 1], 'of', 'the', NUMBERS[all - 1], group, verb, 'the', a] as string[];
  return { words, judged: [[a, 2 * some > all ? sign : opposite(sign)]], open: [] };
};

const unlike: Form = (random, a, b) => {
  const { words, sign } = predicate(random);
  return {
    words: ['unlike', 'the', b, ',', 'the', a, 'is', ...words],
    judged: [
      [a, sign],
      [b, opposite(sign)],
    ],
    open: [],
  };
};

const together: Form = (random, a, b) => {
  const sign = anySign(random);
  const word = adjective(random, sign);
  const forms: [string[], Sign, Sign][] = [
    [['both', 'the', a, 'and', 'the', b, 'are', word], sign, sign],
    [['the', a, 'and', 'the', b, 'are', 'both', word], sign, sign],
    [['neither', 'the', a, 'nor', 'the', b, 'is', word], opposite(sign), opposite(sign)],
    [['not', 'the', a, 'but', 'the', b, 'is', word], opposite(sign), sign],
    [['only', 'the', a, 'and', 'not', 'the', b, 'is', word], sign, opposite(sign)],
  ];
  const [words, ofA, ofB] = random.pick(forms);
  return {
    words,
    judged: [
      [a, ofA],
      [b, ofB],
    ],
    open: [],
  };
};

/** Which was named first. */
const inTurn: Form = (random, a, b) => {
  const [former, latter] = [predicate(random), predicate(random)];
  const start = [person(random), 'has', 'one', a, 'and', 'one', b, ':'];
  const said = [
    ['the', 'former', 'is', ...former.words],
    ['the', 'latter', 'is', ...latter.words],
  ] as const;
  const order = random.integer(2) === 0 ? [...said[0], ',', ...said[1]] : [...said[1], ',', ...said[0]];
  return {
    words: [...start, ...order],
    judged: [
      [a, former.sign],
      [b, latter.sign],
    ],
    open: [],
  };
};

const asked: Form = (random, a, b) => {
  const { words } = predicate(random);
  const form = random.integer(3);
  if (form === 0) return { words: ['is', 'the', a, ...words, '?'], judged: [], open: [a] };
  const then = ['would', random.pick(LIKING.concat(DISLIKING)), 'the', b];
  return { words: ['if', 'the', a, 'were', ...words, ',', person(random), ...then], judged: [], open: [a] };
};

const neutral: Form = (random, a, b) => ({
  words: [person(random), random.pick(HANDLING), 'the', a, random.pick(PLACES), 'the', b],
  judged: [],
  open: [],
});

/** With how often each occurs. */
const FORMS: readonly (readonly [Form, number])[] = [
  [plain, 4],
  [besides, 4],
  [within, 2],
  [comparison, 3],
  [counted, 3],
  [unlike, 2],
  [together, 2],
  [inTurn, 1],
  [asked, 5],
  [neutral, 4],
];

/** What can stand behind `says that` and be turned round: it judges one thing, or two against each other. */
const NESTABLE: readonly (readonly [Form, number])[] = [
  [plain, 3],
  [besides, 2],
  [comparison, 2],
  [counted, 1],
];

/** The plainest judgement: what its words say is what is meant. */
const plainest: Form = (random, a) => {
  const sign = anySign(random);
  const words = random.integer(3) === 0 ? [random.pick(DEGREES)] : [];
  return { words: ['the', a, 'is', ...words, adjective(random, sign)], judged: [[a, sign]], open: [] };
};

/** What a text is made of from which words are learned. */
const EASY: readonly (readonly [Form, number])[] = [
  [plainest, 5],
  [comparison, 1],
  [asked, 1],
  [neutral, 1],
];

function pickForm(random: Random, forms: readonly (readonly [Form, number])[]): Form {
  let at = random.integer(forms.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [form, weight] of forms) {
    at -= weight;
    if (at < 0) return form;
  }
  throw new RangeError('weights are not whole numbers above 0');
}

/** `mira denies that nobody thinks that ...`: each of them may turn round what follows. */
function reported(random: Random, inner: Clause, depth: number): Clause {
  if (depth === 0) return inner;
  const { words, judged, open } = reported(random, inner, depth - 1);
  const holds = random.integer(4) > 0;
  const [verb, plainForm] = random.pick<readonly [string, string]>(holds ? HOLDING : TURNING);
  const who = random.integer(8);
  const [start, turned] =
    who === 0
      ? [['nobody', verb], holds]
      : who === 1
        ? [['everybody', verb], !holds]
        : who === 2
          ? [[person(random), 'does', 'not', plainForm], holds]
          : [[person(random), verb], !holds];
  const signs = turned ? judged.map(([thing, sign]) => [thing, opposite(sign)] as const) : judged;
  return { words: [...start, 'that', ...words], judged: signs, open };
}

/** A clause about `a` and perhaps `b` that says plainly what it says. */
export const easyClause = (random: Random, a: string, b: string): Clause => pickForm(random, EASY)(random, a, b);

/** A clause about `a` and perhaps `b`. */
export function anyClause(random: Random, a: string, b: string): Clause {
  if (random.integer(4) > 0) return pickForm(random, FORMS)(random, a, b);
  return reported(random, pickForm(random, NESTABLE)(random, a, b), random.integer(5) === 0 ? 2 : 1);
}
