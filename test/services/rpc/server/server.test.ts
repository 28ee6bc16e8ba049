import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { TierbedError } from '../../../../base/errors.js';
import { denseTensor } from '../../../../onnx/tensor.js';
import { connect, InferenceClient, type RpcChannel } from '../../../../services/rpc/client.js';
import { decodeStreamResponse, encodeInferRequest } from '../../../../services/rpc/codec/codec.js';
import type { InferRequest, SentStamp } from '../../../../services/rpc/codec/messages.js';
import { FrameDecoder } from '../../../../services/rpc/frame-decoder.js';
import { Gather, gathers } from '../../../../services/rpc/gather.js';
import { modelStreamInfer } from '../../../../services/rpc/inference.js';
import { WINDOW_BYTES } from '../../../../services/rpc/limits.js';
import type { CallContext } from '../../../../services/rpc/method.js';
import type { RpcServer } from '../../../../services/rpc/server/server.js';
import { echo, startEcho } from '../echo.js';

const open: { close(grace: number): unknown }[] = [];

afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close(0);
});

async function started(...args: Parameters<typeof startEcho>): Promise<RpcServer> {
  const server = await startEcho(...args);
  open.push(server);
  return server;
}

function client(address: string, ...args: [options?: { maxMessageBytes?: number }]): InferenceClient {
  const channel = connect(address, ...args);
  open.push(channel);
  return new InferenceClient(channel);
}

function request(bytes = 16, extra: Partial<InferRequest> = {}): InferRequest {
  const data = Uint8Array.from({ length: bytes }, (_, i) => i);
  return {
    modelName: 'echo',
    parameters: new Map(),
    inputs: [{ name: 'x', tensor: denseTensor('uint8', [bytes], data) }],
    ...extra,
  };
}

/** Fails unless it rejects with a TierbedError of this kind whose message and fix match. */
async function rejects(promise: Promise<unknown>, kind: string, message: RegExp, fix?: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof TierbedError, `${error}`);
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    if (fix) assert.match(error.fix ?? '', fix);
    return true;
  });
}

describe('calls', () => {
  it('answer with what the handlers give', async () => {
    const { address } = await started();
    const calls = client(address);
    await calls.channel.waitForReady(5000);
    assert.equal(await calls.live(), true);
    assert.equal(await calls.ready(), true);
    assert.equal(await calls.modelReady('echo'), true);
    assert.equal(await calls.modelReady('other'), false);
    assert.deepEqual(await calls.serverMetadata(), { name: 'tierbed', version: '1', extensions: ['a'] });
    const metadata = await calls.modelMetadata('echo');
    assert.deepEqual(metadata.inputs[0], { name: 'x', datatype: 'FP32', shape: [-1, 3] });
    assert.equal((await calls.repositoryIndex(true))[0]?.state, 'READY');
    await calls.repositoryModelLoad('echo');
  });

  it('carry kind, message and fix of an error', async () => {
    const { address } = await started();
    await rejects(client(address).modelMetadata('q'), 'missing', /^no model q — here$/, /^deploy it — first$/);
    await rejects(client(address).repositoryModelUnload('echo'), 'refused', /^echo is in use$/);
  });

  it('carry a defect of a handler as one', async () => {
    const { address } = await started({
      serverLive: async () => {
        throw new RangeError('oops %/\n é');
      },
    });
    await rejects(client(address).live(), 'internal', /^oops %\/\n é$/);
  });

  it('carry a very long error', async () => {
    const { address } = await started({
      serverLive: async () => {
        throw new TierbedError('invalid', 'ü'.repeat(100_000), { fix: 'z'.repeat(100_000) });
      },
    });
    await rejects(client(address).live(), 'invalid', /^ü+\.\.\.$/, /^z+\.\.\.$/);
  });

  it('refuse a hostile message with INVALID_ARGUMENT', async () => {
    const { address } = await started();
    const channel = connect(address);
    open.push(channel);
    for (const [path, bytes] of [
      ['ModelInfer', [0x0a, 100, 1]],
      ['ModelMetadata', [0x0f]],
    ] as const) {
      const code = await new Promise((resolve) => {
        channel.client.makeUnaryRequest(
          `/inference.GRPCInferenceService/${path}`,
          (message: Buffer) => message,
          (message) => message,
          Buffer.from(bytes),
          (error) => resolve(error?.code),
        );
      });
      assert.equal(code, status.INVALID_ARGUMENT);
    }
    assert.equal(await client(address).live(), true);
  });

  it('say that a peer cannot be reached, and where', async () => {
    const { address, close } = await startEcho();
    await close(0);
    const calls = client(address);
    await rejects(calls.live(), 'unavailable', new RegExp(`cannot reach ${address}`), /check that/);
    await rejects(calls.channel.waitForReady(50), 'unavailable', new RegExp(address));
  });

  it('say so when a peer has no such call', async () => {
    const { address } = await started();
    const channel = connect(address);
    open.push(channel);
    const { NodeClient } = await import('../../../../services/rpc/client.js');
    await rejects(new NodeClient(channel).describe(), 'missing', /Describe/);
  });

  it('reject a parameter that the protocol cannot carry, before anything is sent', async () => {
    const { address } = await started();
    const wrong = request(1, { parameters: new Map([['big', 2n ** 64n]]) });
    await rejects(client(address).infer(wrong), 'invalid', /parameter big/);
  });
});

describe('inference', () => {
  it('echoes tensors, with the times of both ways', async () => {
    const stamps: SentStamp[] = [];
    let arrived: InferRequest | undefined;
    const { address } = await started({
      modelInfer: (message) => {
        arrived = message;
        return echo(message);
      },
    });
    const sending = { stamp: true, onSent: (stamp: SentStamp) => void stamps.push(stamp) };
    const question = request(100_000, { id: '7', parameters: new Map([['p', 'v']]), sending });
    const answer = await client(address).infer(question);
    assert.deepEqual(
      answer.outputs.map(({ tensor }) => Buffer.from(tensor.data as Uint8Array)),
      question.inputs.map(({ tensor }) => Buffer.from(tensor.data as Uint8Array)),
    );
    assert.equal(answer.id, '7');
    assert.deepEqual(answer.parameters, question.parameters);
    assert.equal(stamps.length, 1);
    assert.equal(arrived?.received?.bytes, stamps[0]?.bytes);
    assert.equal(arrived?.received?.sender?.sentNs, stamps[0]?.sentNs);
    const times = [
      stamps[0]?.sentNs,
      arrived?.received?.arrivedNs,
      answer.received?.sender?.sentNs,
      answer.received?.arrivedNs,
    ];
    assert.deepEqual(times, times.toSorted());
    assert.ok(!times.includes(undefined));
  });

  it('copies no request, an answer once, into its frame, and gives the receiver an aligned view', async () => {
    assert.ok(gathers, 'this grpc-js has not been seen to take messages in parts: check services/rpc/gather.ts');
    const copies: { at: number; frameBytes: number }[] = [];
    const taken: (readonly Uint8Array[])[] = [];
    const { copy, take } = Gather.prototype;
    Gather.prototype.copy = function (target, at) {
      copies.push({ at: at ?? 0, frameBytes: target.byteLength - this.byteLength });
      return copy.call(this, target, at);
    };
    Gather.prototype.take = function () {
      const parts = take.call(this);
      taken.push(parts);
      return parts;
    };
    try {
      let view: Uint8Array | undefined;
      const { address } = await started({
        modelInfer: (message) => {
          view = message.inputs[0]?.tensor.data as Uint8Array;
          return echo(message);
        },
      });
      const asked = request(50_000);
      const answer = await client(address).infer(asked);
      assert.equal(taken.length, 1);
      assert.ok(taken[0]?.includes(asked.inputs[0]?.tensor.data as Uint8Array), 'the tensor itself is sent');
      // grpc-js's server makes one frame: five bytes of header and the message, copied once, behind the header.
      assert.deepEqual(copies, [{ at: 5, frameBytes: 5 }]);
      for (const bytes of [view, answer.outputs[0]?.tensor.data as Uint8Array]) {
        assert.equal((bytes?.byteOffset ?? 1) % 8, 0);
      }
    } finally {
      Object.assign(Gather.prototype, { copy, take });
    }
  });

  it('reads a message straight into its buffer', async () => {
    const writes: number[] = [];
    const { write } = FrameDecoder.prototype;
    FrameDecoder.prototype.write = function (data) {
      const frames = write.call(this, data);
      writes.push(...frames.map((frame) => frame.length));
      return frames;
    };
    try {
      const { address } = await started({ modelInfer: () => echo(request(1)) });
      await client(address).infer(request(300_000));
      assert.equal(writes.length, 2, 'one message on the server, one on the client');
      assert.ok((writes[0] ?? 0) > 300_000, 'grpc-js’s server call no longer uses the decoder: see read-in-place.ts');
    } finally {
      FrameDecoder.prototype.write = write;
    }
  });

  it('over a stream answers in order and goes on after an error', async () => {
    const { address } = await started({
      modelInfer: async (message, context) => {
        if (message.id === 'bad') throw new TierbedError('missing', 'no such model');
        assert.ok(!context.signal.aborted);
        return echo(message);
      },
    });
    const { channel } = client(address);
    const stream = channel.client.makeBidiStreamRequest(
      modelStreamInfer.path,
      (bytes: Buffer) => bytes,
      decodeStreamResponse,
      new Metadata(),
    );
    const encode = (message: InferRequest) => encodeInferRequest(message) as unknown as Buffer;
    stream.write(encode(request(8, { id: '1' })));
    stream.write(encode(request(8, { id: 'bad' })));
    stream.write(Buffer.from([0x0a, 100]));
    stream.write(encode(request(8, { id: '2' })));
    stream.end();
    const answers: unknown[] = [];
    for await (const answer of stream) answers.push('errorMessage' in answer ? answer.errorMessage : answer.id);
    assert.equal(answers.length, 4);
    assert.deepEqual([answers[0], answers[1], answers[3]], ['1', 'no such model', '2']);
    assert.match(String(answers[2]), /malformed/);
  });
});

describe('a message over the limit', () => {
  const sizes = /message of \d{6} bytes is over the limit of 50000 bytes/;

  it('is not sent', async () => {
    const { address } = await started();
    await rejects(
      client(address, { maxMessageBytes: 50_000 }).infer(request(100_000)),
      'exhausted',
      sizes,
      /maxMessageBytes/,
    );
  });

  it('is not taken by a server', async () => {
    const { address } = await started({}, { maxMessageBytes: 50_000 });
    await rejects(client(address).infer(request(100_000)), 'exhausted', sizes, /maxMessageBytes/);
  });

  it('is not sent as an answer', async () => {
    const { address } = await started({ modelInfer: () => echo(request(100_000)) }, { maxMessageBytes: 50_000 });
    await rejects(client(address).infer(request(10)), 'exhausted', sizes, /maxMessageBytes/);
  });

  it('is not taken as an answer', async () => {
    const { address } = await started({ modelInfer: () => echo(request(100_000)) });
    const small = client(address, { maxMessageBytes: 50_000 });
    await rejects(small.infer(request(10)), 'exhausted', sizes, /maxMessageBytes/);
    assert.equal(await small.live(), true, 'the connection lives on');
  });

  it('does not keep one at the limit from passing', async () => {
    const bytes = encodeInferRequest(request(100_000)).byteLength;
    const { address } = await started({ modelInfer: () => echo(request(1)) }, { maxMessageBytes: bytes });
    await client(address, { maxMessageBytes: bytes }).infer(request(100_000));
  });
});

/** A handler that waits until its call is over, and says how it ended. */
function waiting() {
  let began: () => void = () => {};
  const running = new Promise<void>((resolve) => {
    began = resolve;
  });
  let ended: (reason: TierbedError) => void = () => {};
  const over = new Promise<TierbedError>((resolve) => {
    ended = resolve;
  });
  const contexts: CallContext[] = [];
  const modelInfer = (_: InferRequest, context: CallContext) =>
    new Promise<never>((_, reject) => {
      contexts.push(context);
      began();
      context.signal.addEventListener('abort', () => {
        ended(context.signal.reason as TierbedError);
        reject(context.signal.reason);
      });
    });
  return { running, over, contexts, modelInfer };
}

describe('deadlines and cancellation', () => {
  it('a deadline ends the call on both sides', async () => {
    const last = waiting();
    const { address } = await started({ modelInfer: last.modelInfer });
    const deadlineMs = Date.now() + 100;
    await rejects(client(address).infer(request(), { deadlineMs }), 'timeout', /./);
    // The client's own cancelling may get there before the server's clock does.
    assert.ok(['timeout', 'cancelled'].includes((await last.over).kind));
    assert.ok(Math.abs((last.contexts[0]?.deadlineMs ?? 0) - deadlineMs) < 1000);
  });

  it('a deadline ends the call of a client that does not watch it', async () => {
    const last = waiting();
    const { address } = await started({ modelInfer: last.modelInfer });
    const session = http2.connect(`http://${address}`);
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/inference.GRPCInferenceService/ModelInfer',
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-timeout': '50m',
      });
      stream.end(Buffer.alloc(5));
      const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      assert.equal(headers['grpc-status'], String(status.DEADLINE_EXCEEDED));
      assert.equal((await last.over).kind, 'timeout');
    } finally {
      session.destroy();
    }
  });

  it('there is none unless one is set', async () => {
    let context: CallContext | undefined;
    const { address } = await started({
      modelInfer: (message, its) => {
        context = its;
        return echo(message);
      },
    });
    await client(address).infer(request());
    assert.equal(context?.deadlineMs, undefined);
    assert.equal(context?.signal.aborted, false);
  });

  for (const how of ['cancelling', 'a deadline'] as const) {
    it(`${how} reaches the last of two hops`, async () => {
      const last = waiting();
      const far = await started({ modelInfer: last.modelInfer });
      const next = client(far.address);
      const near = await started({ modelInfer: (message, context) => next.infer(message, context) });
      const controller = new AbortController();
      const options = how === 'cancelling' ? { signal: controller.signal } : { deadlineMs: Date.now() + 150 };
      const answer = client(near.address).infer(request(), options);
      const kind = how === 'cancelling' ? 'cancelled' : 'timeout';
      const rejected = rejects(answer, kind, /./);
      await last.running;
      controller.abort();
      await rejected;
      assert.ok(['cancelled', kind].includes((await last.over).kind));
    });
  }

  it('a signal that has aborted sends nothing', async () => {
    let calls = 0;
    const { address } = await started({
      modelInfer: (message) => {
        calls++;
        return echo(message);
      },
    });
    const own = new TierbedError('refused', 'not now');
    await rejects(client(address).infer(request(), { signal: AbortSignal.abort() }), 'cancelled', /ModelInfer/);
    await rejects(client(address).infer(request(), { signal: AbortSignal.abort(own) }), 'refused', /^not now$/);
    assert.equal(calls, 0);
  });

  it('a client that goes away ends its calls and leaves others alone', async () => {
    const last = waiting();
    const { address } = await started({
      modelInfer: (message, context) => (message.id === 'wait' ? last.modelInfer(message, context) : echo(message)),
    });
    // A socket in between, so that the client can vanish as one that is killed does.
    const sockets: net.Socket[] = [];
    const between = net.createServer((socket) => {
      const onward = net.connect(Number(address.split(':')[1]), '127.0.0.1');
      sockets.push(socket, onward);
      for (const end of [socket, onward]) end.on('error', () => {});
      socket.pipe(onward).pipe(socket);
    });
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    const gone = client(`127.0.0.1:${(between.address() as net.AddressInfo).port}`);
    const lost = rejects(gone.infer(request(8, { id: 'wait' })), 'unavailable', /cannot reach/);
    await last.running;
    for (const socket of sockets) socket.destroy();
    between.close();
    assert.equal((await last.over).kind, 'cancelled');
    await lost;
    gone.channel.close();
    assert.equal((await client(address).infer(request(8, { id: 'stay' }))).id, 'stay');
  });
});

describe('the server', () => {
  it('names the port that is in use, and what to do', async () => {
    const { port } = await started();
    await rejects(startEcho({}, { port }), 'unavailable', new RegExp(`port ${port} is in use`), /another port/);
  });

  it('says which address it cannot listen on', async () => {
    await rejects(
      startEcho({}, { host: '203.0.113.1' }),
      'unavailable',
      /cannot listen on 203\.0\.113\.1:0/,
      /127\.0\.0\.1/,
    );
  });

  it('lets running calls finish when it is closed, and takes no others', async () => {
    let answer: () => void = () => {};
    const asked = new Promise<void>((began) => {
      void startEcho({
        modelInfer: (message) =>
          new Promise((resolve) => {
            answer = () => resolve(echo(message));
            began();
          }),
      }).then((server) => {
        const calls = client(server.address);
        running = calls.infer(request());
        stop = () => server.close(60_000);
      });
    });
    let running: Promise<unknown> = Promise.resolve();
    let stop: () => Promise<void> = async () => {};
    await asked;
    const closed = stop();
    answer();
    await running;
    await closed;
  });

  it('cancels what still runs when the grace is over', async () => {
    const last = waiting();
    const server = await startEcho({ modelInfer: last.modelInfer });
    const answer = client(server.address).infer(request());
    const lost = assert.rejects(answer);
    await last.running;
    await server.close(20);
    await lost;
    assert.equal((await last.over).kind, 'cancelled');
  });

  it('opens the HTTP/2 windows of streams and connections', async () => {
    const { address } = await started();
    const session = http2.connect(`http://${address}`);
    try {
      await once(session, 'remoteSettings');
      assert.equal(session.remoteSettings.initialWindowSize, WINDOW_BYTES);
      // The connection's window comes in a WINDOW_UPDATE of its own, before the answer to this ping.
      await new Promise<void>((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
      assert.ok((session.state.remoteWindowSize ?? 0) >= WINDOW_BYTES, `is ${session.state.remoteWindowSize}`);
    } finally {
      session.destroy();
    }
  });
});

it('the client opens the HTTP/2 windows of streams and connections', async () => {
  const server = http2.createServer();
  const session = once(server, 'session').then(([its]) => its as http2.ServerHttp2Session);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const channel: RpcChannel = connect(`127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  try {
    await channel.waitForReady(5000);
    const peer = await session;
    await new Promise<void>((resolve, reject) => peer.ping((error) => (error ? reject(error) : resolve())));
    assert.equal(peer.remoteSettings.initialWindowSize, WINDOW_BYTES);
    assert.ok((peer.state.remoteWindowSize ?? 0) >= WINDOW_BYTES, `is ${peer.state.remoteWindowSize}`);
  } finally {
    channel.close();
    server.close();
  }
});
