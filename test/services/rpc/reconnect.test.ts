import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect } from '../../../services/rpc/client.js';
import { type InferenceHandlers, inferenceService } from '../../../services/rpc/inference.js';
import { InferenceClient } from '../../../services/rpc/inference-client.js';
import { startRpcServer } from '../../../services/rpc/server/server.js';

async function server(t: TestContext, port = 0): Promise<{ port: number; address: string; close(): Promise<void> }> {
  const handlers = { serverLive: async () => ({ live: true }) } as unknown as InferenceHandlers;
  const started = await startRpcServer({ host: '127.0.0.1', port, services: [inferenceService(handlers)] });
  const close = (): Promise<void> => started.close(0);
  t.after(close);
  return { ...started, close };
}

function client(t: TestContext, address: string): InferenceClient {
  const channel = connect(address);
  t.after(() => channel.close());
  return new InferenceClient(channel);
}

interface Relay {
  readonly address: string;
  /** How many connections there were. */
  opened(): number;
  freeze(): void;
  close(): void;
}

/** A relay whose connections can be made to swallow everything, as a link that is down does: no error, no end. */
async function relay(t: TestContext, targetPort: number): Promise<Relay> {
  const sockets: net.Socket[] = [];
  let opened = 0;
  const listener = net.createServer((near) => {
    opened++;
    const far = net.connect(targetPort, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  };
  t.after(close);
  return {
    address: `127.0.0.1:${(listener.address() as net.AddressInfo).port}`,
    opened: () => opened,
    close,
    freeze: () => {
      for (const socket of sockets) socket.unpipe().pause();
    },
  };
}

test('a node that was started again is reached by the next call', async (t) => {
  const first = await server(t);
  const data = client(t, first.address);
  assert.equal(await data.live(), true);
  await first.close();
  await assert.rejects(data.live(), { kind: 'unavailable' });
  await server(t, first.port);
  assert.equal(await data.live(), true);
});

test('a connection that swallows everything is replaced when it is suspected, and calls go on', async (t) => {
  const { port } = await server(t);
  const { address, freeze, opened, close } = await relay(t, port);
  const data = client(t, address);
  assert.equal(await data.live(), true);
  freeze();
  await assert.rejects(data.live({ deadlineMs: Date.now() + 200 }), { kind: 'timeout' });
  data.channel.suspect();
  data.channel.suspect();
  // Without that the connection would be found out by its pings, minutes later.
  for (let tries = 0; ; tries++) {
    const live = await data.live({ deadlineMs: Date.now() + 500 }).catch(() => false);
    if (live) break;
    assert.ok(tries < 20, 'the dead connection is still used');
  }
  assert.equal(opened(), 2, 'one other connection, however often it was suspected');
  // A server waits for its connections to end, and these would not.
  close();
});

test('a connection that answers is kept, however suspect', async (t) => {
  const { port } = await server(t);
  const { address } = await relay(t, port);
  const data = client(t, address);
  assert.equal(await data.live(), true);
  data.channel.suspect();
  const answers = await Promise.all(Array.from({ length: 20 }, () => data.live()));
  assert.ok(answers.every(Boolean));
});
