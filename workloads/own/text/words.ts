/*
 * The words that texts are made of. Their order is their ids': a word that is added goes to the end of its list, and makes
 * another version of the workload.
 */

const list = (text: string): readonly string[] => text.trim().split(/\s+/);

/** What opinions are about. */
export const THINGS = list(`
  lamp chair table kettle clock mirror carpet curtain shelf cupboard ladder basket bottle pillow blanket candle
  bridge tower harbour garden fountain bench gate fence barn mill orchard meadow path tunnel station market
  soup bread cheese pie salad cake stew coffee tea cider sauce pudding
  song play novel poem painting film lecture dance letter map story speech
  saddle boat wagon bicycle tent rope anchor sail engine pump saw hammer
`);

/** Who says something; names that no two share. */
export const PEOPLE = list(`
  mira tomas ada jonas lena emil klara otto vera hugo selma anton frida oskar marta pavel
  ines bruno olga felix greta lukas nora simon paula viktor
`);

export const GROUPS = list('guests neighbours visitors critics farmers sailors students players masons weavers');

export const PRAISE = list(`
  good fine excellent lovely splendid solid pleasant superb useful charming sturdy graceful delightful reliable
  bright elegant handsome clever sound wonderful
`);

export const BLAME = list(`
  bad poor dreadful ugly awful flimsy dull useless clumsy shabby terrible feeble tedious faulty gloomy crude
  dismal stupid rotten horrid
`);

/** Verbs of comparison: as one does it, in its plain form, and as it is done to one. */
export const BEATING = [
  ['beats', 'beat', 'beaten'],
  ['outdoes', 'outdo', 'outdone'],
  ['surpasses', 'surpass', 'surpassed'],
  ['outshines', 'outshine', 'outshone'],
] as const;

/** Verbs before a clause that leave it as it is, and their plain forms. */
export const HOLDING = [
  ['says', 'say'],
  ['thinks', 'think'],
  ['believes', 'believe'],
  ['writes', 'write'],
  ['claims', 'claim'],
] as const;

/** Verbs before a clause that turn it round. */
export const TURNING = [
  ['denies', 'deny'],
  ['doubts', 'doubt'],
  ['disputes', 'dispute'],
] as const;

export const LIKING = list('like praise admire');
export const DISLIKING = list('dislike blame despise');
export const NUMBERS = list('one two three four five six seven eight nine');
export const DEGREES = list('very quite rather really');
export const DENIALS = list('not never hardly');
export const PLACES = list('beside behind before under above near');
export const HANDLING = list('bought sold painted moved found lost cleaned kept');

/** Everything else that occurs. */
export const SMALL_WORDS = list(`
  the is are was were that which who of and but or nor neither not one has if would be by does did do because unlike
  like former latter nobody everybody for from to it so than as both only , . ; : ?
`);

/** Stands for the thing that is asked for. */
export const ASKED = '[IT]';

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ASKED];

/** All tokens, each at its id. */
export const VOCABULARY: readonly string[] = [
  ...new Set([
    ...SPECIAL,
    ...SMALL_WORDS,
    ...DENIALS,
    ...DEGREES,
    ...NUMBERS,
    ...PLACES,
    ...[...BEATING, ...HOLDING, ...TURNING].flat(),
    ...[...LIKING, ...DISLIKING, ...HANDLING, ...GROUPS, ...PEOPLE, ...THINGS, ...PRAISE, ...BLAME],
  ]),
];
