import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EventBuffer } from '../../../../services/orchestrator/server/event-buffer.js';
import { EventProgress } from '../../../../services/orchestrator/server/event-progress.js';
import { streamEvents } from '../../../../services/orchestrator/server/event-stream.js';
import type { StepEvent } from '../../../../services/orchestrator/server/index.js';

test('a buffer keeps the last events, and knows what came after one', () => {
  const buffer = new EventBuffer(3);
  for (let i = 1; i <= 5; i++) buffer.publish('log', i);
  const all = buffer.after('of another buffer');
  assert.deepEqual(
    all.map(({ data }) => data),
    ['3', '4', '5'],
  );
  assert.deepEqual(
    buffer.after(all[1]?.id ?? '').map(({ data }) => data),
    ['5'],
  );
  assert.deepEqual(buffer.after(all[2]?.id ?? ''), []);
  assert.notEqual(new EventBuffer().after('').length, 1);
});

test('updates are thinned out, the last one and the ends are not', () => {
  const events: StepEvent[] = [];
  const progress = new EventProgress((event) => events.push(event));
  progress.start('measuring', 1000);
  for (let i = 1; i <= 1000; i++) progress.update(i, `n${i}`);
  assert.deepEqual(progress.step, { label: 'measuring', done: 1000, total: 1000, note: 'n1000' });
  progress.stop('done');
  assert.equal(progress.step, null);
  assert.ok(events.length < 100, `${events.length} events`);
  assert.deepEqual(events.at(-2), {
    label: 'measuring',
    done: 1000,
    total: 1000,
    note: 'n1000',
    is: 'update',
    summary: null,
  });
  assert.deepEqual([events[0]?.is, events.at(-1)?.is, events.at(-1)?.summary], ['start', 'stop', 'done']);
});

async function streaming(t: TestContext, buffer: EventBuffer, heartbeatMs = 10_000): Promise<Socket> {
  const closing = new AbortController();
  const server = createServer((_, response) =>
    streamEvents(response, {
      buffer,
      missed: [],
      now: { id: '', event: 'state', data: '"now"' },
      headers: {},
      heartbeatMs,
      isLast: ({ data }) => data === '"last"',
      signal: closing.signal,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => {
    closing.abort();
    socket.destroy();
    server.close();
    server.closeAllConnections();
  });
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  return socket;
}

test('a reader hears how things stand, each event with its id, signs of life, and the end', async (t) => {
  const buffer = new EventBuffer();
  const socket = await streaming(t, buffer, 20);
  let text = '';
  socket.on('data', (data) => (text += data));
  const seen = async (pattern: RegExp): Promise<void> => {
    for (let i = 0; i < 500 && !pattern.test(text); i++) await delay(10);
    assert.match(text, pattern);
  };
  await seen(/event: state\ndata: "now"\n\n/);
  await seen(/: alive\n\n/);
  buffer.publish('log', { text: 'two\nlines' });
  await seen(/id: \w+-1\nevent: log\ndata: \{"text":"two\\nlines"\}\n\n/);
  buffer.publish('state', 'last');
  await seen(/data: "last"\n\n\r\n0\r\n\r\n$/);
});

test('a reader that does not read is cut off, and keeps nobody else waiting', async (t) => {
  const buffer = new EventBuffer(10);
  const slow = await streaming(t, buffer);
  await once(slow, 'data');
  slow.pause();
  const closed = once(slow, 'close');
  slow.on('error', () => {});
  const text = 'x'.repeat(100_000);
  let listeners = 0;
  // Ten times what the kernel takes for it: without a bound all of this would be in memory.
  for (let i = 0; i < 1000; i++) {
    buffer.publish('log', text);
    if (i % 10 === 0) await delay(1);
  }
  slow.resume();
  let received = 0;
  slow.on('data', (data) => (received += data.length));
  await Promise.race([closed, delay(20_000, undefined, { ref: false })]);
  assert.ok(slow.destroyed, 'it is still being written to');
  assert.ok(received < 50_000_000, `${received} bytes were kept for it`);
  const forget = buffer.listen(() => listeners++);
  buffer.publish('log', 'after');
  forget();
  assert.equal(listeners, 1);
});
