import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import './test-operators.js';

// Loaded behind the operators of the tests, which its schema is to know.
const { parseRecipeFile, parseRecipeText, readRecipe } = await import('../../operators/parse-recipe.js');

test('a text is operators in their order, and its name is what it says', () => {
  const { name, steps } = parseRecipeText(' note + identity+partition', ['partition.at=relu1']);
  assert.equal(name, 'note+identity+partition');
  assert.deepEqual(steps, [
    { operator: 'note', options: {} },
    { operator: 'identity', options: {} },
    { operator: 'partition', options: { at: ['relu1'] } },
  ]);
});

test('a text that is no recipe says what is wrong with it', () => {
  for (const text of ['', '+', 'note+', 'note++identity']) {
    assert.throws(() => parseRecipeText(text), {
      kind: 'invalid',
      message: /is no recipe: an operator's name is missing/,
    });
  }
  assert.throws(() => parseRecipeText('note+partishun'), {
    kind: 'invalid',
    message: /there is no operator 'partishun'; there are: identity, partition/,
    fix: "Did you mean 'partition'?",
  });
  assert.throws(() => parseRecipeText('note+erase'), {
    kind: 'invalid',
    message: "erase: the key 'weight' is missing",
  });
});

test('settings are YAML, and a value alone is a list of one where a list is wanted', () => {
  const options = (...settings: string[]) => parseRecipeText('note', settings).steps[0]?.options;
  assert.deepEqual(options('note.n=3', 'note.text=abc'), { n: 3, text: 'abc' });
  assert.deepEqual(options('note.text="3"'), { text: '3' });
  assert.deepEqual(options('note.text=a=b'), { text: 'a=b' });
  assert.deepEqual(options('note.list=[a, "b c"]'), { list: ['a', 'b c'] });
  assert.deepEqual(options('note.list=a'), { list: ['a'] });
  assert.deepEqual(options('note.n=3', 'note.n=4'), { n: 4 });
  const at = (...settings: string[]) => parseRecipeText('partition', settings).steps[0]?.options.at;
  assert.deepEqual(at('partition.at.tiny=relu1', 'partition.at.other=[[a, b], c]'), {
    tiny: ['relu1'],
    other: [['a', 'b'], 'c'],
  });
});

test('a setting that is wrong is named', () => {
  const cases: [string, RegExp, RegExp?][] = [
    ['note.n=many', /^--set note\.n=many: note\.n: expected integer, got "many"$/],
    ['note.m=3', /^--set note\.m=3: note\.m: unknown key; allowed: text, list, n, reads$/],
    ['note.tex=3', /note\.tex: unknown key/, /'text'/],
    ['note.list=[1]', /^--set note\.list=\[1\]: note\.list\[0\]: expected string, got 1$/],
    ['note.list.a=1', /expected array/],
    ['note.text', /not an option and its value/, /OPERATOR\.OPTION=VALUE/],
    ['=3', /not an option and its value/],
    ['note=3', /not an option and its value/],
    ['note..n=3', /not an option and its value/],
    ['note.text={a', /^--set note\.text=\{a: /],
    ['partition.at=a', /the recipe has no partition/, /It has: note\./],
    ['note.__proto__.x=1', /unknown key/],
  ];
  for (const [setting, message, fix] of cases) {
    assert.throws(
      () => parseRecipeText('note', [setting]),
      (error: { kind?: string; message: string; fix?: string }) => {
        assert.equal(error.kind, 'usage', `${setting}: ${error.message}`);
        assert.match(error.message, message);
        if (fix) assert.match(error.fix ?? '', fix);
        return true;
      },
      setting,
    );
  }
  assert.throws(() => parseRecipeText('note+note', ['note.n=1']), { kind: 'usage', message: /the recipe has 2 note/ });
});

test('a file has the recipe as a study has it, alone or under a key', () => {
  const halves = [
    { operator: 'note', options: {} },
    { operator: 'partition', options: { at: ['a'] } },
  ];
  for (const content of [
    '- note\n- partition: { at: [a] }\n',
    'recipe:\n  - note: {}\n  - partition: { at: [a] }\n',
    'recipe: [note, partition: { at: [a] }]',
  ]) {
    assert.deepEqual(parseRecipeFile(content, 'recipes/halves.yaml'), { name: 'halves', steps: halves });
  }
  assert.deepEqual(parseRecipeFile('recipe: note+partition', 'x.yml', ['partition.at=a']).steps, halves);
  assert.deepEqual(parseRecipeFile('- partition: { at: [a] }', 'x.yml', ['partition.at=b']).steps[0]?.options, {
    at: ['b'],
  });
  assert.deepEqual(parseRecipeFile('[]', 'x.yml').steps, []);
});

test('errors of a file name file, line and key', () => {
  const cases: [string, RegExp, RegExp?][] = [
    [
      '- note\n- partishun\n',
      /^r\.yaml:2: \[1\]: "partishun" is not allowed; allowed: identity, partition/,
      /'partition'/,
    ],
    ['- note\n- note: { n: x }\n', /^r\.yaml:2: \[1\]\.note\.n: expected integer, got "x"/],
    ['\nrecipe: note+partishun\n', /^r\.yaml:2: recipe: there is no operator 'partishun'/, /'partition'/],
    ['recipe:\n  - note\n  - erase\n', /^r\.yaml:3: recipe\[1\]: erase: the key 'weight' is missing/],
    [
      'recipe:\n  - partition: { at: [a] }\n  - note\n',
      /^r\.yaml:3: recipe\[1\]: note behind partition: /,
      /before partition/,
    ],
    ['recpe: note\n', /^r\.yaml:1: recpe: unknown key; allowed: recipe/, /'recipe'/],
    ['- note\n- [note]\n', /^r\.yaml:2: \[1\]: expected string or object, got a list/],
    ['', /expected string or array or object, got nothing/],
    ['- note: {\n', /^r\.yaml:\d: /],
  ];
  for (const [content, message, fix] of cases) {
    assert.throws(
      () => parseRecipeFile(content, 'r.yaml'),
      (error: { kind?: string; message: string; fix?: string }) => {
        assert.equal(error.kind, 'invalid', error.message);
        assert.match(error.message, message);
        if (fix) assert.match(error.fix ?? '', fix);
        return true;
      },
      content,
    );
  }
});

test('chains that make no sense are refused with the reason', () => {
  const at = ['partition.at=a'];
  assert.throws(() => parseRecipeText('partition+note', at), {
    kind: 'invalid',
    message: 'note behind partition: note works on a model in one piece, and partition gives stages',
    fix: 'Put note before partition: `note+partition`.',
  });
  assert.throws(() => parseRecipeText('partition+identity+note', at), {
    message: /^note behind partition\+identity: .*partition gives stages$/,
  });
  assert.throws(() => parseRecipeFile('- partition: { at: [a] }\n- partition: { at: [b] }\n', 'x.yaml'), {
    message: /partition behind partition: it cuts a whole model, and the partition before it has cut it already/,
    fix: /Name all cuts in one partition/,
  });
  assert.throws(() => parseRecipeText('note+identity+choosy'), {
    message: 'choosy behind note+identity: it reads no notes',
    fix: 'Leave note out.',
  });
  for (const fine of ['choosy+note+partition', 'partition+identity', 'identity+partition']) {
    parseRecipeText(fine, at);
  }
});

test('what ends as a YAML file is one, and its absence is said', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tierbed-recipe-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'mine.yaml'), '- identity\n');
  assert.equal((await readRecipe(join(folder, 'mine.yaml'))).name, 'mine');
  assert.equal((await readRecipe('identity')).name, 'identity');
  await assert.rejects(readRecipe(join(folder, 'other.yaml')), {
    kind: 'missing',
    message: /other\.yaml: there is no such file/,
  });
});
