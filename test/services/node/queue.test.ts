import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { WorkQueue } from '../../../services/node/queue.js';

/** A task that ends when it is told to, and whether it has begun. */
function task(value = 'done') {
  const { promise, resolve } = deferred<string>();
  const held = {
    begun: false,
    end: () => resolve(value),
    run: () => {
      held.begun = true;
      return promise;
    },
  };
  return held;
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((r) => {
    resolve = r;
  });
  return { promise, resolve };
}

test('runs one at a time, in order', async () => {
  const queue = new WorkQueue(8);
  const [a, b] = [task('a'), task('b')];
  const first = queue.run(a.run);
  const second = queue.run(b.run);
  assert.deepEqual([a.begun, b.begun, queue.length], [true, false, 1]);
  a.end();
  assert.equal(await first, 'a');
  await Promise.resolve();
  assert.equal(b.begun, true);
  b.end();
  assert.equal(await second, 'b');
});

test('turns away what is past the bound, but never the node itself', async () => {
  const queue = new WorkQueue(1);
  const [a, b, own] = [task(), task(), task()];
  const all = [queue.run(a.run), queue.run(b.run)];
  await assert.rejects(
    queue.run(task().run),
    (error) => error instanceof TierbedError && error.kind === 'exhausted' && /1 requests/.test(error.message),
  );
  all.push(queue.run(own.run, { unbounded: true }));
  assert.equal(queue.length, 2);
  for (const held of [a, b, own]) held.end();
  await Promise.all(all);
  assert.equal(queue.length, 0);
  await queue.run(async () => 'there is room again');
});

test('a caller that goes away leaves the queue, and its task never begins', async () => {
  const queue = new WorkQueue(8);
  const [a, b, c] = [task(), task(), task('c')];
  const first = queue.run(a.run);
  const caller = new AbortController();
  const second = queue.run(b.run, { signal: caller.signal });
  const third = queue.run(c.run);
  caller.abort(new TierbedError('cancelled', 'gone'));
  await assert.rejects(second, { kind: 'cancelled' });
  assert.equal(queue.length, 1);
  a.end();
  await first;
  c.end();
  assert.equal(await third, 'c');
  assert.equal(b.begun, false);
});

test('a caller that goes away while its task runs hears at once; the next waits until the task is through', async () => {
  const queue = new WorkQueue(8);
  const [a, b] = [task(), task('b')];
  const caller = new AbortController();
  const first = queue.run(a.run, { signal: caller.signal });
  const second = queue.run(b.run);
  caller.abort(new TierbedError('timeout', 'late'));
  await assert.rejects(first, { kind: 'timeout' });
  assert.equal(b.begun, false);
  a.end();
  b.end();
  assert.equal(await second, 'b');
});

test('a signal that has aborted never enters', async () => {
  const queue = new WorkQueue(8);
  const a = task();
  await assert.rejects(queue.run(a.run, { signal: AbortSignal.abort(new TierbedError('cancelled', 'x')) }), {
    kind: 'cancelled',
  });
  assert.equal(a.begun, false);
});

test('a task that fails makes room like any other', async () => {
  const queue = new WorkQueue(8);
  await assert.rejects(
    queue.run(async () => {
      throw new Error('no');
    }),
    /no/,
  );
  assert.equal(await queue.run(async () => 'yes'), 'yes');
});
