import type { Socket } from 'node:net';
import { ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { DEFAULT_MAX_MESSAGE_BYTES } from '../limits.js';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS } from '../options.js';
import { loadProtoForReflection } from '../protos.js';
import { answerAtOnce } from './answer-at-once.js';
import { Health, type ServingStatus } from './health.js';
import { readInPlace } from './read-in-place.js';
import type { RpcService } from './service.js';
import { WideServer } from './wide-server.js';
import '../quiet.js';

export interface RpcServerOptions {
  /** Name or address to listen on; services of a testbed on one machine use 127.0.0.1. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Bound on messages both ways; `DEFAULT_MAX_MESSAGE_BYTES` (1 GiB) when absent. */
  readonly maxMessageBytes?: number;
  readonly services: readonly RpcService[];
  /** Is given every connection that comes in. */
  readonly onSocket?: (socket: Socket) => void;
}

export interface RpcServer {
  readonly port: number;
  /** host:port to connect to. */
  readonly address: string;
  /** Sets what gRPC's health service says of a service ('' is the whole server); all start as SERVING. */
  setServing(service: string, status: ServingStatus): void;
  /** Takes no more calls, lets those that run finish for `graceMs`, then cancels them. */
  close(graceMs: number): Promise<void>;
}

/**
 * Starts a gRPC server with gRPC health and reflection beside the given services. Its HTTP/2 windows are opened to
 * `WINDOW_BYTES`, so that an upload over a link with delay fills the link.
 *
 * @throws TierbedError `unavailable` when the address cannot be listened on
 */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  const health = new Health();
  const server = new WideServer(options.onSocket, {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.enable_channelz': 0,
    'grpc.so_reuseport': 0,
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    interceptors: [readInPlace(maxMessageBytes), answerAtOnce],
  });
  const services = [...options.services, health.service];
  for (const service of services) addService(server, service, maxMessageBytes);
  const definitions = Object.assign({}, ...services.map((service) => loadProtoForReflection(service.proto)));
  new ReflectionService(definitions, { services: services.map((service) => service.name) }).addToServer(server);
  const port = await bind(server, options.host, options.port);
  for (const service of ['', ...options.services.map(({ name }) => name)]) health.set(service, 'SERVING');
  return {
    port,
    address: addressOf(options.host, port),
    setServing: (service, status) => health.set(service, status),
    close: async (graceMs) => {
      health.close();
      await server.shutDown(graceMs);
    },
  };
}

function addService(server: WideServer, service: RpcService, maxMessageBytes: number): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const call of service.calls) {
    const { method, handle } = call({ maxMessageBytes });
    definition[method.path] = method;
    implementation[method.path] = handle;
  }
  server.addService(definition, implementation);
}

function bind(server: WideServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(addressOf(host, port), ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(cannotListen(host, port, error));
      else resolve(bound);
    });
  });
}

function cannotListen(host: string, port: number, error: Error): TierbedError {
  const where = addressOf(host, port);
  const why = messageOf(error);
  if (why.includes('EADDRINUSE')) {
    return new TierbedError('unavailable', `cannot listen on ${where}: port ${port} is in use`, {
      fix: 'end the process that uses the port, or choose another port (0 takes a free one)',
      cause: error,
    });
  }
  if (why.includes('EACCES')) {
    return new TierbedError('unavailable', `cannot listen on ${where}: port ${port} needs more privileges`, {
      fix: 'choose a port from 1024 on (0 takes a free one)',
      cause: error,
    });
  }
  return new TierbedError('unavailable', `cannot listen on ${where}: ${why}`, {
    fix: 'choose an address of this machine, such as 127.0.0.1',
    cause: error,
  });
}

/** host:port, with IPv6 addresses in brackets. */
function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
