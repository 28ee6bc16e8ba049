import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { messageOf, TierbedError } from '../base/errors.js';

export interface HttpServer {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Serves `/healthz` (the process lives), `/readyz` (it does what it is for; 503 while it does not) and `/metrics`.
 *
 * @throws TierbedError `unavailable` when the port is taken or the host is not this machine's
 */
export async function startHttp(
  host: string,
  port: number,
  registry: Registry,
  ready: () => boolean,
): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const reply = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(request.method === 'HEAD' ? undefined : text);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return reply(405, 'only GET\n');
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return reply(200, 'ok\n');
      case '/readyz':
        return ready() ? reply(200, 'ready\n') : reply(503, 'not ready\n');
      case '/metrics':
        registry.metrics().then(
          (text) => reply(200, text, registry.contentType),
          (error) => reply(500, `${messageOf(error)}\n`),
        );
        return;
      default:
        return reply(404, 'try /healthz, /readyz or /metrics\n');
    }
  });
  await listen(server, host, port);
  const bound = server.address() as AddressInfo;
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new TierbedError('unavailable', `cannot listen on ${host}:${port}: ${error.message}`, {
          fix: 'Choose another --metrics-port, or 0 for a free one.',
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}
