import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { connect, InferenceClient, NodeClient } from '../../../services/rpc/client.js';
import type { Http2Channel } from '../../../services/rpc/http2/channel.js';
import { startEcho } from './echo.js';

function client(t: TestContext, address: string): InferenceClient {
  const channel = connect(address);
  t.after(() => channel.close());
  return new InferenceClient(channel);
}

async function listening(t: TestContext, server: net.Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

describe('a channel', () => {
  it('connects again after its peer was restarted', async (t) => {
    const first = await startEcho();
    const calls = client(t, first.address);
    assert.equal(await calls.live(), true);
    await first.close(0);
    await assert.rejects(calls.live(), { kind: 'unavailable' });
    const second = await startEcho({}, { port: first.port });
    t.after(() => second.close(0));
    await calls.channel.waitForReady(5000);
    assert.equal(await calls.live(), true);
  });

  it('waits for a peer that starts later', async (t) => {
    const placeholder = await startEcho();
    await placeholder.close(0);
    const calls = client(t, placeholder.address);
    const ready = calls.channel.waitForReady(10_000);
    const server = await startEcho({}, { port: placeholder.port });
    t.after(() => server.close(0));
    await ready;
    assert.equal(await calls.live(), true);
  });

  it('uses one connection for calls at the same time', async (t) => {
    let connections = 0;
    const server = await startEcho();
    t.after(() => server.close(0));
    const address = await listening(
      t,
      net.createServer((socket) => {
        connections++;
        const onward = net.connect(server.port, '127.0.0.1');
        for (const end of [socket, onward]) end.on('error', () => {});
        socket.pipe(onward).pipe(socket);
      }),
    );
    const calls = client(t, address);
    await Promise.all(Array.from({ length: 20 }, () => calls.live()));
    await calls.live();
    assert.equal(connections, 1);
  });

  it('does not wait longer than it is told for a peer that says nothing', async (t) => {
    const sockets: net.Socket[] = [];
    const address = await listening(
      t,
      net.createServer((socket) => sockets.push(socket.on('error', () => {}))),
    );
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    const calls = client(t, address);
    await assert.rejects(calls.channel.waitForReady(60), { kind: 'unavailable', message: /within 60 ms/ });
    await assert.rejects(calls.live({ deadlineMs: Date.now() + 60 }), { kind: 'timeout' });
    const controller = new AbortController();
    const call = calls.live({ signal: controller.signal });
    controller.abort();
    await assert.rejects(call, { kind: 'cancelled' });
  });

  it('says so of a peer that is no gRPC server', async (t) => {
    const address = await listening(
      t,
      http.createServer((_, response) => response.end('hello')),
    );
    await assert.rejects(client(t, address).live(), {
      kind: 'unavailable',
      message: new RegExp(`cannot reach ${address}`),
    });
  });

  it('connects again after its connection was cut', async (t) => {
    const server = await startEcho();
    t.after(() => server.close(0));
    const sockets: net.Socket[] = [];
    const between = net.createServer((socket) => {
      const onward = net.connect(server.port, '127.0.0.1');
      sockets.push(socket, onward);
      for (const end of [socket, onward]) end.on('error', () => {});
      socket.pipe(onward).pipe(socket);
    });
    const calls = client(t, await listening(t, between));
    assert.equal(await calls.live(), true);
    const session = await (calls.channel.client.getChannel() as Http2Channel).connection.session();
    const cut = once(session, 'close');
    for (const socket of sockets) socket.destroy();
    await cut;
    assert.equal(await calls.live(), true);
  });

  it('never lets a call that is cancelled look like one that is complete', async (t) => {
    const ends: (number | undefined)[] = [];
    // With wide windows nothing waits to be sent when a call is cancelled.
    const server = http2.createServer({ settings: { initialWindowSize: 2 ** 26 } });
    server.on('session', (session) => session.setLocalWindowSize(2 ** 26));
    const controllers: AbortController[] = [];
    const over = new Promise<void>((resolve) => {
      server.on('stream', (stream) => {
        stream.on('error', () => {});
        stream.once('data', () => controllers.pop()?.abort());
        // What the stream was reset with by then: nothing, if all that the caller had to say seems said.
        stream.on('end', () => {
          ends.push(stream.rstCode);
          if (ends.length === 10) resolve();
        });
      });
    });
    const channel = connect(await listening(t, server as unknown as net.Server));
    t.after(() => channel.close());
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      controllers.push(controller);
      const file = new NodeClient(channel).putFile(Buffer.alloc(2 ** 26), 'x', { signal: controller.signal });
      await assert.rejects(file, { kind: 'cancelled' });
    }
    await over;
    assert.deepEqual(ends, Array(10).fill(http2.constants.NGHTTP2_CANCEL));
  });

  /** A peer that answers every call with these bytes, then OK. */
  async function answering(t: TestContext, bytes: Buffer): Promise<string> {
    const server = http2.createServer();
    server.on('stream', (stream) => {
      stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.on('error', () => {});
      stream.end(bytes);
    });
    return listening(t, server as unknown as net.Server);
  }

  it('takes the answer of a peer that is not Tierbed', async (t) => {
    assert.equal(await client(t, await answering(t, Buffer.from([0, 0, 0, 0, 2, 8, 1]))).live(), true);
  });

  it('refuses a compressed message and one that is damaged', async (t) => {
    const compressed = client(t, await answering(t, Buffer.from([1, 0, 0, 0, 2, 8, 1])));
    await assert.rejects(compressed.live(), { kind: 'internal', message: /compressed/ });
    const damaged = client(t, await answering(t, Buffer.from([0, 0, 0, 0, 1, 0x0f])));
    await assert.rejects(damaged.live(), { kind: 'invalid', message: /malformed/ });
  });

  it('says so when the answer has no message', async (t) => {
    await assert.rejects(client(t, await answering(t, Buffer.alloc(0))).live(), TierbedError);
  });

  it('makes no calls once it is closed', async (t) => {
    const server = await startEcho();
    t.after(() => server.close(0));
    const calls = client(t, server.address);
    assert.equal(await calls.live(), true);
    calls.channel.close();
    await assert.rejects(calls.live(), { kind: 'unavailable', message: /closed/ });
  });

  it('does not keep its process alive', async (t) => {
    const server = await startEcho();
    t.after(() => server.close(0));
    const child = fork(new URL('./idle-child.js', import.meta.url), [server.address], { stdio: 'inherit' });
    t.after(() => child.kill());
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });
});
