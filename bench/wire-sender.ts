// The sending process of bench/wire.ts: one warm connection to each receiver, one message at a time.
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { packageRoot } from '../base/paths.js';
import { denseTensor } from '../onnx/tensor.js';
import { connect, InferenceClient } from '../services/rpc/client.js';
import { type Addresses, type Contender, type Question, RAW_ANSWER_BYTES, RAW_HEADER_BYTES } from './wire-protocol.js';

interface Connection {
  /** Sends a tensor with these bytes and waits for the answer. */
  send(bytes: Uint8Array): Promise<void>;
  close(): void;
}

async function raw(address: string): Promise<Connection> {
  const [host, port] = address.split(':');
  const socket = net.connect({ host: host as string, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  return {
    send: (bytes) => {
      const header = Buffer.alloc(RAW_HEADER_BYTES);
      header.writeBigUInt64LE(BigInt(bytes.byteLength));
      return new Promise((resolve, reject) => {
        let got = 0;
        const onData = (data: Buffer) => {
          got += data.length;
          if (got < RAW_ANSWER_BYTES) return;
          socket.off('data', onData);
          socket.off('error', reject);
          resolve();
        };
        socket.on('data', onData);
        socket.on('error', reject);
        socket.cork();
        socket.write(header);
        socket.write(bytes);
        socket.uncork();
      });
    },
    close: () => socket.destroy(),
  };
}

async function tierbed(address: string): Promise<Connection> {
  const channel = connect(address);
  await channel.waitForReady(10_000);
  const client = new InferenceClient(channel);
  return {
    send: async (bytes) => {
      const tensor = denseTensor('float32', [bytes.byteLength / 4], bytes);
      await client.infer({
        modelName: 'm',
        parameters: new Map(),
        inputs: [{ name: 'x', tensor }],
        sending: { stamp: true },
      });
    },
    close: () => channel.close(),
  };
}

async function stock(address: string): Promise<Connection> {
  const definition = loadPackageDefinition(loadSync(join(packageRoot, 'proto', 'inference.proto')));
  const { GRPCInferenceService } = definition.inference as unknown as Record<string, ServiceClientConstructor>;
  const client = new (GRPCInferenceService as ServiceClientConstructor)(address, credentials.createInsecure());
  return {
    send: (bytes) =>
      new Promise((resolve, reject) => {
        const request = {
          modelName: 'm',
          inputs: [{ name: 'x', datatype: 'FP32', shape: [bytes.byteLength / 4] }],
          rawInputContents: [bytes],
        };
        (client.ModelInfer as (request: object, done: (error: Error | null) => void) => void)(request, (error) =>
          error ? reject(error) : resolve(),
        );
      }),
    close: () => client.close(),
  };
}

async function open(addresses: Addresses): Promise<Record<Contender, Connection>> {
  return {
    raw: await raw(addresses.raw),
    tierbed: await tierbed(addresses.tierbed),
    stock: await stock(addresses.stock),
  };
}

let connections: Record<Contender, Connection> | undefined;
const payloads = new Map<number, Uint8Array>();

function payload(bytes: number): Uint8Array {
  const known = payloads.get(bytes);
  if (known) return known;
  const made = new Uint8Array(bytes).fill(0x3f);
  payloads.set(bytes, made);
  return made;
}

async function answer(question: Question): Promise<number> {
  if (question.kind === 'open') {
    connections = await open(question.addresses);
    return 0;
  }
  if (!connections) throw new Error('not open');
  if (question.kind === 'close') {
    for (const connection of Object.values(connections)) connection.close();
    connections = undefined;
    return 0;
  }
  const bytes = payload(question.bytes);
  const started = performance.now();
  await connections[question.contender].send(bytes);
  return performance.now() - started;
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(JSON.parse(line) as Question).then(
    (ms) => ({ answer: ms }),
    (error: unknown) => ({ error: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
process.exit();
