import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { callUnary } from '../../../../services/rpc/calls/call-unary.js';
import { connect, type RpcChannel } from '../../../../services/rpc/client.js';
import { checkMethod, watchMethod } from '../../../../services/rpc/server/health.js';
import type { RpcServer } from '../../../../services/rpc/server/server.js';
import { startEcho } from '../echo.js';

const SERVICE = 'inference.GRPCInferenceService';
let server: RpcServer;
let channel: RpcChannel;

before(async () => {
  server = await startEcho();
  channel = connect(server.address);
});

after(async () => {
  channel.close();
  await server.close(0);
});

function watch(service: string): ClientReadableStream<{ status: string }> {
  return channel.client.makeServerStreamRequest(
    watchMethod.path,
    (bytes: Buffer) => bytes,
    (bytes) => watchMethod.response.decode(bytes),
    watchMethod.request.encode({ service }),
    new Metadata(),
  );
}

async function next(stream: ClientReadableStream<{ status: string }>): Promise<string> {
  const [{ status }] = (await once(stream, 'data')) as [{ status: string }];
  return status;
}

describe('health', () => {
  it('serves from the start, as a whole and by service', async () => {
    for (const service of ['', SERVICE]) {
      assert.deepEqual(await callUnary(channel, checkMethod, { service }), { status: 'SERVING' });
    }
  });

  it('says NOT_FOUND of a service that is not there', async () => {
    await assert.rejects(callUnary(channel, checkMethod, { service: 'x.Y' }), {
      kind: 'missing',
      message: /no service "x.Y"/,
    });
  });

  it('says what it was set to, to those who ask and those who watch', async () => {
    const watcher = watch(SERVICE);
    try {
      assert.equal(await next(watcher), 'SERVING');
      const changed = next(watcher);
      server.setServing(SERVICE, 'NOT_SERVING');
      assert.equal(await changed, 'NOT_SERVING');
      assert.deepEqual(await callUnary(channel, checkMethod, { service: SERVICE }), { status: 'NOT_SERVING' });
      const again = next(watcher);
      server.setServing(SERVICE, 'SERVING');
      assert.equal(await again, 'SERVING');
    } finally {
      watcher.on('error', () => {});
      watcher.cancel();
    }
  });

  it('lets a service be watched before it is there', async () => {
    const watcher = watch('later.Service');
    try {
      assert.equal(await next(watcher), 'SERVICE_UNKNOWN');
      const changed = next(watcher);
      server.setServing('later.Service', 'SERVING');
      assert.equal(await changed, 'SERVING');
    } finally {
      watcher.on('error', () => {});
      watcher.cancel();
    }
  });

  it('ends its watches when the server is closed, which they do not hold up', async () => {
    const own = await startEcho();
    const its = connect(own.address);
    const watcher = its.client.makeServerStreamRequest(
      watchMethod.path,
      (bytes: Buffer) => bytes,
      (bytes) => watchMethod.response.decode(bytes),
      watchMethod.request.encode({ service: '' }),
      new Metadata(),
    );
    assert.equal(await next(watcher), 'SERVING');
    const last = next(watcher);
    const ended = once(watcher, 'end');
    await own.close(60_000);
    assert.equal(await last, 'NOT_SERVING');
    await ended;
    its.close();
  });
});

/** gRPC's reflection protocol, as much of it as is asked here (grpc/reflection/v1/reflection.proto). */
function reflectionProto(version: string): string {
  return `syntax = "proto3";
    package grpc.reflection.${version};
    service ServerReflection { rpc ServerReflectionInfo(stream Request) returns (stream Response); }
    message Request { oneof m { string file_containing_symbol = 4; string list_services = 7; } }
    message Response { oneof m { Files files = 4; Services services = 6; Problem problem = 7; } }
    message Files { repeated bytes file = 1; }
    message Services { repeated Service service = 1; }
    message Service { string name = 1; }
    message Problem { int32 code = 1; string message = 2; }`;
}

for (const version of ['v1', 'v1alpha']) {
  it(`reflection ${version} lists the services and describes them`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tierbed-'));
    try {
      await writeFile(join(folder, 'reflection.proto'), reflectionProto(version));
      const definition = loadSync(join(folder, 'reflection.proto'))[`grpc.reflection.${version}.ServerReflection`];
      const method = (definition as unknown as Record<string, ReflectionMethod>)
        .ServerReflectionInfo as ReflectionMethod;
      const ask = async (question: object) => {
        const stream = channel.client.makeBidiStreamRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          new Metadata(),
        );
        stream.write(question);
        stream.end();
        for await (const answer of stream) return answer as ReflectionAnswer;
        throw new Error('no answer');
      };
      const names = (await ask({ listServices: '' })).services?.service.map(({ name }) => name);
      assert.deepEqual(names?.toSorted(), ['grpc.health.v1.Health', SERVICE]);
      const { files } = await ask({ fileContainingSymbol: `${SERVICE}.ModelInfer` });
      assert.ok(files?.file[0]?.includes('raw_input_contents'));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

interface ReflectionMethod {
  readonly path: string;
  readonly requestSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

interface ReflectionAnswer {
  readonly services?: { readonly service: readonly { readonly name: string }[] };
  readonly files?: { readonly file: readonly Buffer[] };
}
