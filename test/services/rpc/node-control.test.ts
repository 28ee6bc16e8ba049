import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { TierbedError } from '../../../base/errors.js';
import { connect, NodeClient } from '../../../services/rpc/client.js';
import {
  type DeployRequest,
  type NodeControlHandlers,
  nodeControlService,
  type PutFileRequest,
  type RunSampleResponse,
} from '../../../services/rpc/node-control.js';
import { startRpcServer } from '../../../services/rpc/server/server.js';

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const unexpected = async (): Promise<never> => {
  throw new Error('not expected in this test');
};

async function started(handlers: Partial<NodeControlHandlers>): Promise<NodeClient> {
  const all: NodeControlHandlers = {
    describe: unexpected,
    missingFiles: unexpected,
    putFile: unexpected,
    deploy: unexpected,
    undeploy: unexpected,
    runSample: unexpected,
    calibrate: unexpected,
    setFault: unexpected,
    ...handlers,
  };
  const server = await startRpcServer({ host: '127.0.0.1', port: 0, services: [nodeControlService(all)] });
  closers.push(() => server.close(0));
  const channel = connect(server.address);
  closers.push(() => channel.close());
  return new NodeClient(channel);
}

/** A PutFile handler that keeps what it gets. */
function keeping(chunks: PutFileRequest[]): NodeControlHandlers['putFile'] {
  return async (requests) => {
    for await (const request of requests) chunks.push(request);
    return { stored: true };
  };
}

describe('the control plane', () => {
  it('carries every field of every call', async () => {
    const described = {
      tier: 'edge',
      version: '1.2',
      dataAddress: 'a:1',
      metricsAddress: 'b:2',
      pid: 123_456_789_012,
      environmentJson: '{}',
      deployments: ['a', 'b'],
    };
    const deployment: DeployRequest = {
      name: 'd',
      files: [{ path: 'a.onnx', sha256: 'ab' }],
      sessionMode: 'COLD',
      warmupRuns: 3,
      engine: 'wasm',
      threads: 2,
      next: { address: 'c:3', deployment: 'e' },
      preprocessJson: 'p',
      postprocessJson: 'q',
      graphOptimization: true,
      onHopFailure: {
        ...{ action: 'RETRY', hopDeadlineMs: 12.5, retries: 3, backoffMs: 1.5, maxBackoffMs: 2.5, seed: 7 },
      },
      fallback: [
        { files: [{ path: 'b.onnx', sha256: 'cd' }], preprocessJson: 'r', encodeJson: 's', decode: true, exitJson: '' },
      ],
      encodeJson: 't',
      decode: true,
      exitJson: 'u',
      behind: [{ files: [], preprocessJson: '', encodeJson: '', decode: false, exitJson: 'v' }],
    };
    const deployed = { engine: 'wasm', threads: 2, threadsReason: 'set', loadMs: 1.25, warmupMs: 2.5 };
    const hop = {
      tier: 'mobile',
      upMs: 1.5,
      downMs: 2.5,
      upBytes: 2 ** 40,
      downBytes: 7,
      deserialiseMs: 3.5,
      serialiseMs: 4.5,
      preprocessMs: 5.5,
      queueMs: 6.5,
      loadMs: 7.5,
      computeMs: 8.5,
      handoverMs: 9.5,
      stage: 1,
      ranStage: true,
      failoverMs: 10.5,
      attempts: 2,
      fellBack: true,
      exited: false,
      decodeMs: 11.5,
      encodeMs: 12.5,
    };
    const sample: RunSampleResponse = {
      endToEndMs: 10.5,
      hops: [hop],
      postprocessMs: 0.5,
      otherMs: 0.25,
      prediction: 'cat',
      outputSha256: 'ff',
      startedAtUnixMs: 1.7e12,
    };
    const asked: unknown[] = [];
    const answering =
      <T>(answer: T) =>
      async (request: unknown): Promise<T> => {
        asked.push(request);
        return answer;
      };
    const node = await started({
      describe: answering(described),
      missingFiles: answering({ sha256: ['b'] }),
      deploy: answering(deployed),
      undeploy: answering({}),
      runSample: answering(sample),
      calibrate: answering({ tookMs: [1.5, 2.5] }),
      setFault: answering({}),
    });
    const run = { deployment: 'd', itemSha256: 'aa', sampleId: '9', deadlineMs: 1500.5 };
    assert.deepEqual(await node.describe(), described);
    assert.deepEqual(await node.missingFiles(['a', 'b']), ['b']);
    assert.deepEqual(await node.deploy(deployment), deployed);
    assert.deepEqual(await node.deploy({ name: 'bare' }), deployed);
    await node.undeploy('d');
    assert.deepEqual(await node.runSample(run), sample);
    assert.deepEqual(await node.calibrate({ jobs: 9, withinMs: 100.5 }), { tookMs: [1.5, 2.5] });
    await node.setFault('f', { a: 1 });
    await node.setFault('f', undefined);
    const bare = {
      name: 'bare',
      files: [],
      sessionMode: 'SESSION_MODE_UNSPECIFIED',
      warmupRuns: 0,
      engine: '',
      threads: 0,
      next: null,
      preprocessJson: '',
      postprocessJson: '',
      graphOptimization: false,
      onHopFailure: null,
      fallback: [],
      encodeJson: '',
      decode: false,
      exitJson: '',
      behind: [],
    };
    assert.deepEqual(asked, [
      {},
      { sha256: ['a', 'b'] },
      deployment,
      bare,
      { name: 'd' },
      run,
      { jobs: 9, withinMs: 100.5 },
      { fault: 'f', optionsJson: '{"a":1}' },
      { fault: 'f', optionsJson: '' },
    ]);
  });
});

describe('putFile', () => {
  for (const bytes of [0, 1, 2 ** 20, 2 ** 20 + 1, 3_500_000]) {
    for (const from of ['memory', 'disk'] as const) {
      it(`sends ${bytes} bytes from ${from} in chunks of at most 1 MiB`, async () => {
        const chunks: PutFileRequest[] = [];
        const node = await started({ putFile: keeping(chunks) });
        const content = Buffer.alloc(bytes);
        for (let i = 0; i < bytes; i++) content[i] = i * 31 + (i >> 8);
        const sha256 = createHash('sha256').update(content).digest('hex');
        const folder = await mkdtemp(join(tmpdir(), 'tierbed-'));
        closers.push(() => rm(folder, { recursive: true }));
        await writeFile(join(folder, 'file'), content);
        assert.equal(await node.putFile(from === 'disk' ? join(folder, 'file') : content, sha256), true);
        assert.ok(Buffer.concat(chunks.map(({ chunk }) => chunk)).equals(content));
        assert.equal(chunks[0]?.sha256, sha256);
        assert.equal(chunks[0]?.bytes, bytes);
        assert.equal(chunks.length, Math.max(1, Math.ceil(bytes / 2 ** 20)));
        for (const { chunk, sha256: named } of chunks.slice(1)) assert.ok(chunk.byteLength > 0 && named === '');
      });
    }
  }

  it('holds the sender back while the node works', async () => {
    let goOn: () => void = () => {};
    const paused = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let taken = 0;
    const node = await started({
      putFile: async (requests) => {
        for await (const _ of requests) {
          taken++;
          if (taken === 1) await paused;
        }
        return { stored: true };
      },
    });
    // A file far larger than the windows: it cannot all be under way.
    const megabyte = Buffer.alloc(2 ** 20);
    let read = 0;
    const file = new Proxy(Buffer.alloc(0), {
      get(_, key) {
        if (key === 'byteLength') return 128 * 2 ** 20;
        if (key === 'subarray') {
          return () => {
            read++;
            return megabyte;
          };
        }
        return undefined;
      },
    });
    const done = node.putFile(file, 'x');
    let before = -1;
    while (read === 0 || read !== before) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(taken, 1);
    assert.ok(read < 100, `${read} of 128 chunks were read while none was taken`);
    goOn();
    assert.equal(await done, true);
    assert.equal(taken, 128);
  });

  it('stops sending when the node refuses', async () => {
    const node = await started({
      putFile: async (requests) => {
        for await (const _ of requests) throw new TierbedError('exhausted', 'the disk is full', { fix: 'make room' });
        return { stored: false };
      },
    });
    await assert.rejects(node.putFile(Buffer.alloc(100 * 2 ** 20), 'x'), {
      kind: 'exhausted',
      message: 'the disk is full',
      fix: 'make room',
    });
  });

  it('takes an answer that comes before the end', async () => {
    const node = await started({
      putFile: async (requests) => {
        for await (const _ of requests) break;
        return { stored: false };
      },
    });
    assert.equal(await node.putFile(Buffer.alloc(100 * 2 ** 20), 'x'), false);
  });

  it('ends the node’s reading when the sender goes away', async () => {
    const controller = new AbortController();
    let ended: (error: unknown) => void = () => {};
    const over = new Promise((resolve) => {
      ended = resolve;
    });
    const node = await started({
      putFile: async (requests) => {
        try {
          for await (const _ of requests) controller.abort();
          ended('the end of the file');
        } catch (error) {
          ended(error);
        }
        return { stored: false };
      },
    });
    await assert.rejects(node.putFile(Buffer.alloc(100 * 2 ** 20), 'x', { signal: controller.signal }), {
      kind: 'cancelled',
    });
    assert.equal(((await over) as TierbedError).kind, 'cancelled');
  });

  it('names a file that is not there', async () => {
    const node = await started({ putFile: keeping([]) });
    await assert.rejects(node.putFile('/nowhere/at/all', 'x'), { kind: 'missing', message: /\/nowhere\/at\/all/ });
  });
});
