import { open } from 'node:fs/promises';
import { messageOf, TierbedError } from '../../base/errors.js';
import { callClientStream } from './calls/call-client-stream.js';
import { callUnary } from './calls/call-unary.js';
import type { CallOptions, RpcChannel } from './channel.js';
import {
  type CalibrateRequest,
  type CalibrateResponse,
  type DeployRequest,
  type DeployResponse,
  type DescribeResponse,
  nodeMethods,
  type PutFileRequest,
  putFile,
  type RunSampleRequest,
  type RunSampleResponse,
} from './node-control.js';

/** Bytes of a file that travel in one message. */
export const CHUNK_BYTES = 2 ** 20;

/** Calls the control plane of a node. Errors are those of `callUnary`. */
export class NodeClient {
  readonly channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.channel = channel;
  }

  describe(options?: CallOptions): Promise<DescribeResponse> {
    return callUnary(this.channel, nodeMethods.describe, {}, options);
  }

  /** Which of these files the node does not hold. */
  async missingFiles(sha256: readonly string[], options?: CallOptions): Promise<readonly string[]> {
    return (await callUnary(this.channel, nodeMethods.missingFiles, { sha256 }, options)).sha256;
  }

  /**
   * Sends a file, from disk or memory, under its SHA-256 in lower-case hex. Gives false when the node held it already.
   *
   * @throws TierbedError `missing` when there is no such file
   */
  async putFile(source: string | Uint8Array, sha256: string, options?: CallOptions): Promise<boolean> {
    const chunks = typeof source === 'string' ? chunksOfFile(source, sha256) : chunksOfBytes(source, sha256);
    return (await callClientStream(this.channel, putFile, chunks, options)).stored;
  }

  /** What is left out is '', 0, false or none: see proto/testbed.proto. */
  deploy(
    request: Partial<DeployRequest> & Pick<DeployRequest, 'name'>,
    options?: CallOptions,
  ): Promise<DeployResponse> {
    return callUnary(this.channel, nodeMethods.deploy, { ...EMPTY_DEPLOY, ...request }, options);
  }

  async undeploy(name: string, options?: CallOptions): Promise<void> {
    await callUnary(this.channel, nodeMethods.undeploy, { name }, options);
  }

  /** Runs a fixed CPU job over and over in the inference thread and gives the time of each run. */
  calibrate(request: CalibrateRequest, options?: CallOptions): Promise<CalibrateResponse> {
    return callUnary(this.channel, nodeMethods.calibrate, request, options);
  }

  runSample(request: RunSampleRequest, options?: CallOptions): Promise<RunSampleResponse> {
    return callUnary(this.channel, nodeMethods.runSample, request, options);
  }

  /** Puts a fault of the node in force; without options it is taken away. */
  async setFault(
    fault: string,
    faultOptions: Readonly<Record<string, unknown>> | undefined,
    options?: CallOptions,
  ): Promise<void> {
    const optionsJson = faultOptions === undefined ? '' : JSON.stringify(faultOptions);
    await callUnary(this.channel, nodeMethods.setFault, { fault, optionsJson }, options);
  }
}

const EMPTY_DEPLOY: DeployRequest = {
  name: '',
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

async function* chunksOfBytes(bytes: Uint8Array, sha256: string): AsyncGenerator<PutFileRequest> {
  yield { sha256, bytes: bytes.byteLength, chunk: bytes.subarray(0, CHUNK_BYTES) };
  for (let at = CHUNK_BYTES; at < bytes.byteLength; at += CHUNK_BYTES) {
    yield { sha256: '', bytes: 0, chunk: bytes.subarray(at, at + CHUNK_BYTES) };
  }
}

async function* chunksOfFile(path: string, sha256: string): AsyncGenerator<PutFileRequest> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw new TierbedError('missing', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const { size } = await file.stat();
    let first = true;
    let left = size;
    do {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, left));
      const { bytesRead } = chunk.length ? await file.read(chunk, 0, chunk.length) : { bytesRead: 0 };
      if (bytesRead === 0 && left > 0) {
        throw new TierbedError('invalid', `${path} became shorter while it was read`, {
          fix: 'leave the file as it is',
        });
      }
      yield { sha256: first ? sha256 : '', bytes: first ? size : 0, chunk: chunk.subarray(0, bytesRead) };
      first = false;
      left -= bytesRead;
    } while (left > 0);
  } finally {
    await file.close();
  }
}
