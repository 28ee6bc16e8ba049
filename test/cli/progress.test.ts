import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgress, formatDuration, progressLine } from '../../cli/progress.js';

function recording(options: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  return { written, stream: { ...options, write: (text: string) => written.push(text) } };
}

test('a line says what is known: done, per cent, time left, note', () => {
  assert.equal(progressLine('measuring', 30, 120, 8_200, 'edge'), 'measuring  30/120  25 %  9 s left  edge');
  assert.equal(progressLine('building', 0, undefined, undefined), 'building');
  assert.deepEqual([8_000, 185_000, 7_810_000].map(formatDuration), ['8 s', '3 min 05 s', '2 h 10 min']);
});

test('on a terminal one line rewrites itself and is gone at the end', () => {
  const { written, stream } = recording({ isTTY: true, columns: 30 });
  let ms = 0;
  const progress = createProgress(stream, { now: () => ms });
  progress.start('measuring', 10);
  ms = 500;
  progress.update(5, 'a note that is much longer than the terminal is wide');
  progress.stop();
  assert.ok(written.every((text) => text.startsWith('\r\x1b[2K') && !text.includes('\n')));
  assert.match(written[1] ?? '', /5\/10 {2}50 %/);
  assert.ok((written[1] ?? '').length - '\r\x1b[2K'.length < 30);
  assert.equal(written.at(-1), '\r\x1b[2K');
});

test('elsewhere a plain line comes every interval, across steps', () => {
  const { written, stream } = recording({ isTTY: false });
  let ms = 0;
  const progress = createProgress(stream, { now: () => ms, plainIntervalMs: 1000 });
  progress.start('short step', 2);
  progress.stop();
  assert.deepEqual(written, []);
  ms = 1500;
  progress.start('measuring', 10);
  for (let done = 1; done <= 10; done++) {
    ms += 250;
    progress.update(done);
  }
  progress.stop('done');
  assert.deepEqual(written, [
    'measuring  0/10  0 %\n',
    'measuring  4/10  40 %  2 s left\n',
    'measuring  8/10  80 %  1 s left\n',
    'done\n',
  ]);
});

test('a resumed step reckons the time left from what it did itself', () => {
  const { written, stream } = recording({ isTTY: false });
  let ms = 0;
  const progress = createProgress(stream, { now: () => ms, plainIntervalMs: 1000 });
  progress.start('measuring', 1000);
  ms = 500;
  progress.update(901);
  ms = 1000;
  progress.update(902);
  assert.deepEqual(written, ['measuring  902/1000  90 %  49 s left\n']);
});

test('quiet writes nothing', () => {
  const { written, stream } = recording({ isTTY: true });
  const progress = createProgress(stream, { quiet: true });
  progress.start('x', 1);
  progress.update(1);
  progress.stop('done');
  assert.deepEqual(written, []);
});
