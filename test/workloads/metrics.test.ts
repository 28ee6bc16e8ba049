import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { METRICS, metric, metricKind, metricOf } from '../../workloads/metrics/index.js';
import { worsening } from '../../workloads/metrics/worsening.js';
import type { PostprocessSpec } from '../../workloads/types.js';

type Answer = readonly [prediction: string, label: string];

function valueOf(name: string, answers: readonly Answer[], options: Readonly<Record<string, unknown>> = {}): number | null {
  const tally = metric(name, options).accumulate();
  for (const [prediction, label] of answers) tally.add(prediction, label);
  assert.equal(tally.n, answers.length);
  return tally.value();
}

const near = (got: number | null, want: number): void =>
  assert.ok(got !== null && Math.abs(got - want) < 1e-12, `${got}, not ${want}`);

describe('top1 and accuracy', () => {
  it('are the share of predictions whose likeliest class is right, and null of none', () => {
    const answers: Answer[] = [
      ['1', '1'],
      ['2', '1'],
      ['cat', 'cat'],
      ['01', '1'],
      ['["cat","dog"]', 'cat'],
      ['["cat","dog"]', 'dog'],
    ];
    for (const name of ['top1', 'accuracy']) {
      assert.equal(valueOf(name, []), null);
      assert.equal(valueOf(name, answers), 0.5);
    }
  });
});

describe('top5', () => {
  it('is right with the label among the five likeliest', () => {
    const six = JSON.stringify(['a', 'b', 'c', 'd', 'e', 'f']);
    assert.equal(
      valueOf('top5', [
        [six, 'a'],
        [six, 'e'],
        [six, 'f'],
        [six, 'x'],
      ]),
      0.5,
    );
    assert.equal(metric('top5').correct(six, 'e'), true);
    assert.equal(metric('top5').correct(six, 'f'), false);
  });
});

describe('f1', () => {
  // Computed by scikit-learn's f1_score on these: y_true 0 0 0 1 1 2 2 2 2 3, y_pred 0 0 1 1 0 2 2 0 2 4.
  const answers: Answer[] = [...'0001122223'].map((label, i) => ['0011022024'[i] as string, label]);

  it('is the mean over the classes of labels and predictions', () => {
    near(valueOf('f1', answers), 27 / 70);
  });

  it('is that of one class where that is asked for', () => {
    near(valueOf('f1', answers, { positive: '2' }), 6 / 7);
    near(valueOf('f1', answers, { positive: 0 }), 4 / 7);
    assert.equal(valueOf('f1', answers, { positive: '9' }), 0);
    assert.equal(valueOf('f1', []), null);
  });
});

describe('mse', () => {
  it('is the mean of the mean squared differences, and calls nothing right or wrong', () => {
    assert.equal(
      valueOf('mse', [
        ['1 2', '1 4'],
        ['0 0', '1 1'],
      ]),
      1.5,
    );
    assert.equal(valueOf('mse', [['0.5', '0']]), 0.25);
    assert.equal(valueOf('mse', []), null);
    assert.equal(metric('mse').correct('1', '1'), null);
  });

  it('refuses what cannot be compared', () => {
    assert.throws(() => valueOf('mse', [['1 2', '1']]), /2 numbers predicted, and the label has 1/);
    assert.throws(() => valueOf('mse', [['cat', '1']]), /prediction 'cat' is not numbers/);
    assert.throws(() => metric('mse').correct('1', 'cat'), /label 'cat' is not numbers/);
    assert.equal(metric('mse').correct('1', ''), null);
  });
});

describe('none', () => {
  it('counts and judges nothing', () => {
    assert.equal(valueOf('none', [['a', 'a']]), null);
    assert.equal(metric('none').correct('a', 'a'), null);
  });
});

describe('metrics', () => {
  it('are known by name, and taken with a workload\'s options', () => {
    assert.throws(() => metric('bleu'), (error) => error instanceof TierbedError && /top1, top5/.test(String(error.fix)));
    assert.match(metricOf({ metric: 'f1', metricOptions: { positive: 'cat' } }).title, /cat/);
    assert.equal(new Set(METRICS.map(({ name }) => name)).size, METRICS.length);
    for (const kind of METRICS) assert.equal(kind.with({}).name, kind.name);
  });

  it('say by how much one became worse, whichever way is better', () => {
    assert.equal(Math.round(worsening(metric('top1'), 0.9, 0.89) as number), 1);
    assert.equal(worsening(metric('mse'), 2, 3), 50);
    assert.equal(worsening(metric('mse'), 2, 1), -50);
    assert.equal(worsening(metric('mse'), 0, 0), 0);
    assert.equal(worsening(metric('top1'), null, 1), null);
  });
});

describe('a metric that does not fit', () => {
  const argmax: PostprocessSpec = { kind: 'argmax', output: 'y' };
  const top5: PostprocessSpec = { ...argmax, top: 5 };
  const digest: PostprocessSpec = { kind: 'digest' };
  const numbers: PostprocessSpec = { kind: 'numbers', output: 'y' };
  const items = (...labels: string[]) => labels.map((label, i) => ({ id: `item ${i}`, label }));
  const misfit = (name: string, postprocess: PostprocessSpec, labels: readonly string[], options = {}) =>
    metricKind(name).misfit({ postprocess, items: items(...labels) }, options);

  it('is told from one that does', () => {
    for (const name of ['top1', 'accuracy', 'f1', 'none', 'agreement']) {
      assert.equal(misfit(name, argmax, ['0', '1']), undefined, name);
      assert.equal(misfit(name, { ...argmax, classes: ['cat', 'dog'] }, ['cat', 'bird']), undefined, name);
    }
    assert.equal(misfit('top5', top5, ['0']), undefined);
    assert.equal(misfit('f1', argmax, ['0', '1'], { positive: 1 }), undefined);
    assert.equal(misfit('mse', numbers, ['1 2', '0.5 -1e3']), undefined);
    assert.equal(misfit('mse', numbers, ['', ''], { against: 'x' }), undefined);
    assert.equal(misfit('agreement', argmax, ['', '']), undefined);
    assert.equal(misfit('agreement', digest, ['', '']), undefined);
    assert.equal(misfit('none', digest, ['', '']), undefined);
  });

  it('says where, why and what to do', () => {
    const wrong: readonly [name: string, PostprocessSpec, labels: string[], at: string, text: RegExp, options?: object][] = [
      ['top1', digest, ['0'], 'metric', /compares classes, and the postprocessing 'digest' gives none/],
      ['top1', argmax, ['', ''], 'metric', /needs labels, and the data has none/],
      ['top1', argmax, ['0', '', ''], 'data', /2 of 3 items have no label.*first is 'item 1'/],
      ['accuracy', argmax, ['cat', 'dog'], 'postprocess', /indexes of classes, and no label is one: .* 'cat', 'dog'/],
      ['top1', { ...argmax, classes: ['cat'] }, ['0', '1'], 'postprocess.classes', /no label is among the classes/],
      ['top5', argmax, ['0'], 'metric', /five likeliest classes, and the postprocessing gives one/],
      ['top5', { ...argmax, top: 3 }, ['0'], 'metric', /gives 3/],
      ['top5', digest, ['0'], 'metric', /'digest' gives none/],
      ['f1', argmax, [''], 'metric', /needs labels/],
      ['f1', argmax, ['0', '1'], 'metric.f1.positive', /no item has the label '7'/, { positive: 7 }],
      ['mse', argmax, ['1'], 'metric', /compares numbers, and the postprocessing 'argmax' gives none/],
      ['mse', numbers, ['1', 'cat'], 'metric', /'item 1' has the label 'cat'/],
      ['mse', numbers, [''], 'metric', /needs labels/],
      ['agreement', numbers, [''], 'metric', /'numbers' gives numbers/],
    ];
    for (const [name, postprocess, labels, at, text, options = {}] of wrong) {
      const found = misfit(name, postprocess, labels, options);
      assert.match(found?.message ?? 'fits', text, name);
      assert.equal(found?.at.join('.'), at, name);
      assert.ok((found?.fix ?? '').endsWith('.'), name);
    }
  });
});
