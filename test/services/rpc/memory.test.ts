import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { it, type TestContext } from 'node:test';

const BYTES = 100_000_000;

/** The next message of a child; fails when it ends without one. */
async function next<T>(child: ChildProcess): Promise<T> {
  const [answer] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`a side ended with ${code}`))),
  ]);
  return answer as T;
}

/** Passes a tensor once between two processes; gives how far each one's resident memory rose at most, in tensor sizes. */
async function peaks(t: TestContext, model: string): Promise<{ server: number; client: number }> {
  const path = new URL('./memory-child.js', import.meta.url);
  const server = fork(path, ['server']);
  t.after(() => server.kill());
  const address = await next<string>(server);
  const client = fork(path, ['client', address, model, String(BYTES)]);
  t.after(() => client.kill());
  await next(client);
  const begun = next(server);
  server.send('begin');
  await begun;
  const clientPeak = next<number>(client);
  client.send('go');
  const clientBytes = await clientPeak;
  const serverPeak = next<number>(server);
  server.send('end');
  return { client: clientBytes / BYTES, server: (await serverPeak) / BYTES };
}

const skip = existsSync('/proc/self/status') ? false : 'peak memory is read from /proc';

it('a 100 MB tensor passes with a peak under twice its size a side', { skip }, async (t) => {
  const { client, server } = await peaks(t, 'last');
  t.diagnostic(`peak over baseline, in sizes of the tensor: client ${client.toFixed(2)}, server ${server.toFixed(2)}`);
  assert.ok(client >= 1 && server >= 1, 'the peaks hold the tensor itself');
  assert.ok(client < 2, `client: ${client}`);
  assert.ok(server < 2, `server: ${server}`);
});

it('an echo of 100 MB passes', { skip }, async (t) => {
  const { client, server } = await peaks(t, 'echo');
  t.diagnostic(`peak over baseline, in sizes of the tensor: client ${client.toFixed(2)}, server ${server.toFixed(2)}`);
  // The tensor sent and the one received, and on the server the frame that the answer is copied into.
  assert.ok(client < 4 && server < 4, `client ${client}, server ${server}`);
});
