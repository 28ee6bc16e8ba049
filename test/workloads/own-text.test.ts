import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeItemFile } from '../../workloads/item-file.js';
import { encodedText, TEXT_LENGTH, textItems } from '../../workloads/own/text/items.js';
import { classOf, TEXT_CLASSES, writeText } from '../../workloads/own/text/sentences.js';
import { VOCABULARY } from '../../workloads/own/text/words.js';
import { bigints } from '../support/bigints.js';

const texts = (part: 'training' | 'evaluation', count: number) =>
  Array.from({ length: count }, (_, i) => writeText(1, part, i));

describe('a text', () => {
  it('depends on seed, part and index alone', () => {
    const first = writeText(3, 'training', 7);
    writeText(4, 'tuning', 1);
    assert.deepEqual(writeText(3, 'training', 7), first);
    for (const other of [writeText(4, 'training', 7), writeText(3, 'tuning', 7), writeText(3, 'training', 12)]) {
      assert.notDeepEqual(other.words, first.words);
    }
  });

  it('is made of the vocabulary, names the thing that is asked for, and fits its item', () => {
    const known = new Set(VOCABULARY);
    assert.equal(known.size, VOCABULARY.length);
    for (const { thing, words, label } of texts('training', 300)) {
      assert.ok(
        words.every((word) => known.has(word)),
        words.join(' '),
      );
      assert.ok(words.includes(thing) && words.length + 2 <= TEXT_LENGTH);
      assert.ok(TEXT_CLASSES.includes(label));
    }
  });

  it('means what its clauses say of the thing', () => {
    const of = (...judged: [string, 1 | -1][]) => ({ words: [], judged, open: [] });
    assert.equal(classOf('lamp', [of(['lamp', 1]), of(['chair', -1])]), 'good');
    assert.equal(classOf('lamp', [of(['lamp', -1], ['chair', 1])]), 'bad');
    assert.equal(classOf('lamp', [of(['lamp', 1]), of(['lamp', -1])]), 'mixed');
    assert.equal(classOf('lamp', [of(['chair', 1]), { words: [], judged: [], open: ['lamp'] }]), 'asked');
    assert.equal(classOf('lamp', [{ words: [], judged: [], open: ['lamp'] }, of(['lamp', 1])]), 'good');
    assert.equal(classOf('lamp', [of(['chair', 1])]), 'unsaid');
  });

  it('is one of more clauses than a question', () => {
    for (const { words, label } of texts('training', 300).filter(({ label }) => label === 'asked')) {
      assert.ok(words.filter((word) => word === '.').length > 1, `${label}: ${words.join(' ')}`);
    }
  });

  it('says more than its words do: a bag of them does not tell the classes apart', () => {
    // Naive Bayes over the words and the thing that is asked for, each word once more where it follows the thing.
    const counts = TEXT_CLASSES.map(() => new Map<string, number>());
    const totals = TEXT_CLASSES.map(() => 0);
    const features = (thing: string, words: readonly string[]) => words.map((word) => (word === thing ? 'IT' : word));
    for (const { thing, words, label } of texts('training', 4000)) {
      const at = TEXT_CLASSES.indexOf(label);
      for (const word of features(thing, words)) {
        counts[at]?.set(word, (counts[at]?.get(word) ?? 0) + 1);
        totals[at] = (totals[at] as number) + 1;
      }
    }
    let right = 0;
    const asked = texts('evaluation', 1000);
    for (const { thing, words, label } of asked) {
      const scores = TEXT_CLASSES.map((_, at) =>
        features(thing, words).reduce(
          (sum, word) =>
            sum + Math.log(((counts[at]?.get(word) ?? 0) + 1) / ((totals[at] as number) + VOCABULARY.length)),
          0,
        ),
      );
      if (TEXT_CLASSES[scores.indexOf(Math.max(...scores))] === label) right++;
    }
    assert.ok(right / asked.length > 0.22 && right / asked.length < 0.5, `${right} of ${asked.length}`);
  });
});

describe('the items of text', () => {
  it('hold the text, padded, with a token for the thing that is asked for', async () => {
    const bytes = encodedText({ thing: 'lamp', words: ['the', 'lamp', 'is', 'good', '.'], label: 'good' });
    const [ids, mask, types] = decodeItemFile(bytes).map(({ tensor }) => bigints(tensor));
    const words = ids?.map((id) => VOCABULARY[id]).join(' ');
    assert.match(words ?? '', /^\[CLS\] the \[IT\] is good \. \[SEP\] \[PAD\]( \[PAD\])+$/);
    assert.equal(ids?.length, TEXT_LENGTH);
    assert.equal(mask?.join(''), '1'.repeat(7) + '0'.repeat(19));
    assert.equal(types?.join(''), '0'.repeat(TEXT_LENGTH));
  });

  it('take turns in their classes', async () => {
    const items = textItems(1, 'tuning', 10);
    assert.deepEqual(
      items.map(({ label }) => label),
      [...TEXT_CLASSES, ...TEXT_CLASSES],
    );
    assert.deepEqual(await items[3]?.read(), encodedText(writeText(1, 'tuning', 3)));
  });
});
