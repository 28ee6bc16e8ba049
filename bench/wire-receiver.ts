// The receiving process of bench/wire.ts: a raw TCP server, Tierbed's gRPC server and a stock one, all on free ports.
// Each takes a tensor and answers with a few bytes.
import net from 'node:net';
import { join } from 'node:path';
import { loadPackageDefinition, Server, ServerCredentials, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { packageRoot } from '../base/paths.js';
import { denseTensor } from '../onnx/tensor.js';
import { inferenceService } from '../services/rpc/inference.js';
import { startRpcServer } from '../services/rpc/server/server.js';
import { type Addresses, RAW_ANSWER_BYTES, RAW_HEADER_BYTES } from './wire-protocol.js';

/** Where it listens. */
const HOST = process.env.WIRE_HOST ?? '127.0.0.1';

/** Puts the bytes of each tensor into one buffer, as whoever wants a tensor from a socket must, and answers. */
function raw(): Promise<string> {
  const answer = Buffer.alloc(RAW_ANSWER_BYTES);
  const server = net.createServer({ noDelay: true }, (socket) => {
    let header = Buffer.alloc(0);
    let tensor: Buffer | undefined;
    let filled = 0;
    socket.on('data', (data) => {
      let at = 0;
      while (at < data.length) {
        if (!tensor) {
          const take = Math.min(RAW_HEADER_BYTES - header.length, data.length - at);
          header = Buffer.concat([header, data.subarray(at, at + take)]);
          at += take;
          if (header.length < RAW_HEADER_BYTES) return;
          tensor = Buffer.allocUnsafe(Number(header.readBigUInt64LE()));
          filled = 0;
          header = Buffer.alloc(0);
        }
        const take = Math.min(tensor.length - filled, data.length - at);
        tensor.set(data.subarray(at, at + take), filled);
        filled += take;
        at += take;
        if (filled < tensor.length) return;
        tensor = undefined;
        socket.write(answer);
      }
    });
    socket.on('error', () => {});
  });
  return new Promise((resolve) => {
    server.listen(0, HOST, () => resolve(`${HOST}:${(server.address() as net.AddressInfo).port}`));
  });
}

async function tierbed(): Promise<string> {
  const unused = async (): Promise<never> => {
    throw new Error('not part of this benchmark');
  };
  const outputs = [{ name: 'y', tensor: denseTensor('float32', [4], new Uint8Array(16)) }];
  const service = inferenceService({
    serverLive: unused,
    serverReady: unused,
    modelReady: unused,
    serverMetadata: unused,
    modelMetadata: unused,
    repositoryIndex: unused,
    repositoryModelLoad: unused,
    repositoryModelUnload: unused,
    modelInfer: async ({ modelName }) => ({ modelName, parameters: new Map(), outputs, sending: { stamp: true } }),
  });
  return (await startRpcServer({ host: HOST, port: 0, services: [service] })).address;
}

/** grpc-js as it comes, messages by protobufjs; only the limit on received messages is lifted, or none over 4 MiB would pass. */
function stock(): Promise<string> {
  const definition = loadPackageDefinition(loadSync(join(packageRoot, 'proto', 'inference.proto')));
  const { GRPCInferenceService } = definition.inference as unknown as Record<string, ServiceClientConstructor>;
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  server.addService((GRPCInferenceService as ServiceClientConstructor).service, {
    ModelInfer: (_call: unknown, callback: (error: null, response: object) => void) =>
      callback(null, { modelName: 'm', rawOutputContents: [Buffer.alloc(16)] }),
  });
  return new Promise((resolve, reject) => {
    server.bindAsync(`${HOST}:0`, ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(`${HOST}:${port}`),
    );
  });
}

process.stdin.on('end', () => process.exit()).resume();
const addresses: Addresses = { raw: await raw(), tierbed: await tierbed(), stock: await stock() };
process.stdout.write(`${JSON.stringify(addresses)}\n`);
