import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { messageOf, TierbedError } from '../../base/errors.js';
import type { GateCall } from './calls.js';
import { decide } from './decide.js';
import type { Engine, EngineAnswer } from './engine.js';
import { GateMetrics } from './metrics.js';
import { type GateRequest, MAX_BODY_BYTES, printable, wrongHead } from './request.js';

export interface GateServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly engine: Engine;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** What a request may take to arrive; 5 s by default. */
  readonly requestTimeoutMs?: number;
}

export interface GateServer {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 5_000;
const MAX_HEAD_BYTES = 8_192;
/** The orchestrator is the only client. */
const MAX_CONNECTIONS = 64;
/** Longer than the engine may take to answer. */
const IDLE_TIMEOUT_MS = 60_000;

/**
 * The HTTP side of the gate: takes requests apart, has `decide` judge them, and hands what is allowed to the engine in
 * the gate's own words. One request a connection: what follows on it is refused.
 *
 * @throws TierbedError `unavailable` when the address cannot be listened on
 */
export async function startGateServer(options: GateServerOptions): Promise<GateServer> {
  const { engine, log, requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const metrics = new GateMetrics();
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    insecureHTTPParser: false,
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
    requireHostHeader: false, // `wrongHead` does, and logs it
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = 0; // Node would drop those above it silently; `wrongHead` counts them
  server.setTimeout(IDLE_TIMEOUT_MS);

  const hosts = new Set<string>();
  const refuse = (what: Refused, why: string): void => {
    metrics.refused();
    log.warn({ refused: true, ...what, why });
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url: target = '', rawHeaders } = request;
    const refused = (why: string): void => {
      refuse(seen(request), why);
      // Whatever else the client has in store for this connection is not read.
      reply(response, { status: 403, body: { message: why } });
      response.on('finish', () => request.socket.destroySoon());
    };
    const head: Omit<GateRequest, 'body'> = { method, target, rawHeaders };
    const wrong = wrongHead(head, hosts);
    if (wrong !== undefined) return refused(wrong);
    const body = await readBody(request);
    // The connection's own errors are reported where they arise.
    if (body === undefined) return;
    const decision = decide({ ...head, body }, { project: engine.project, hosts, capacity: engine.capacity });
    if (!decision.allowed) return refused(decision.why);
    const answer = await carryOut(decision.call);
    if (typeof answer === 'string') return refused(answer);
    reply(response, answer);
  };

  /** A text says why not. */
  const carryOut = async (call: GateCall): Promise<EngineAnswer | string> => {
    try {
      switch (call.name) {
        case 'healthz':
          return { status: 200, body: 'ok\n' };
        case 'readyz':
          await engine.ask({ name: 'ping' });
          return { status: 200, body: 'ready\n' };
        case 'metrics':
          return { status: 200, body: await metrics.registry.metrics() };
        case 'ping':
        case 'version':
        case 'info':
        case 'list': {
          const answer = await engine.ask(call);
          metrics.allowed(call.name);
          return answer;
        }
        default: {
          const answer = await engine.act(call);
          if (typeof answer === 'string') return answer;
          metrics.allowed(call.name);
          if (call.name !== 'inspect' && call.name !== 'stats') log.info({ call }, 'done');
          return answer;
        }
      }
    } catch (error) {
      const answer = engineError(error);
      if (answer.status !== 304) {
        metrics.failed(call.name);
        log.warn({ call, why: messageOf(error) }, 'the engine failed it');
      }
      return answer;
    }
  };

  const responses = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (request, response) => {
    response.shouldKeepAlive = false;
    if (responses.has(request.socket)) {
      // Its answer would wait behind the first one's, which ends the connection.
      refuse(seen(request), 'a second request on one connection');
      return;
    }
    responses.set(request.socket, response);
    handle(request, response).catch((error: unknown) => {
      log.warn({ why: messageOf(error) }, 'internal error');
      if (!response.headersSent) reply(response, { status: 500, body: { message: 'internal error of the gate' } });
    });
  });
  const atOnce = (request: IncomingMessage, socket: Duplex, why: string): void => {
    refuse(seen(request), why);
    refuseRaw(socket, why);
  };
  server.on('upgrade', (request, socket) => atOnce(request, socket, 'a connection may not become another'));
  server.on('connect', (request, socket) => atOnce(request, socket, 'the gate is no proxy'));
  server.on('checkContinue', (request) => atOnce(request, request.socket, 'expectations are not met'));
  server.on('checkExpectation', (request) => atOnce(request, request.socket, 'expectations are not met'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const { remoteAddress: remote } = socket as Socket;
    const why = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'the request did not arrive in time' : parserWords(error);
    refuse({ method: '', path: '', remote }, why);
    if (responses.get(socket)?.headersSent) (socket as Socket).destroySoon();
    else refuseRaw(socket, why);
  });
  server.on('drop', (data) => refuse({ method: '', path: '', remote: data?.remoteAddress }, 'too many connections'));

  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  for (const name of ['localhost', '127.0.0.1', '[::1]', options.host, engine.service]) {
    hosts.add(name).add(`${name}:${port}`);
  }
  return {
    address: `${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Refused {
  readonly method: string;
  readonly path: string;
  readonly remote: string | undefined;
}

function seen({ method = '', url = '', socket }: IncomingMessage): Refused {
  return { method: printable(method, 20), path: printable(url), remote: socket.remoteAddress };
}

/** The whole body, or undefined when the connection ends before it. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_BODY_BYTES) break;
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

function reply(response: ServerResponse, { status, body }: EngineAnswer): void {
  if (response.destroyed) return;
  const text = body === undefined ? '' : typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  const type = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
  const bodiless = status === 204 || status === 304;
  response.writeHead(status, { connection: 'close', ...(!bodiless && { 'content-type': type }) });
  response.end(bodiless ? undefined : text);
}

/** For connections that Node has no response for. */
function refuseRaw(socket: Duplex, why: string): void {
  if (socket.writable) {
    const body = `${JSON.stringify({ message: why })}\n`;
    const head = ['HTTP/1.1 403 Forbidden', 'Content-Type: application/json', `Content-Length: ${body.length}`];
    socket.write(`${[...head, 'Connection: close', '', ''].join('\r\n')}${body}`);
  }
  (socket as Socket).destroySoon();
}

/** The engine's own status and words where it has refused something; the words are about the project's own containers. */
function engineError(error: unknown): EngineAnswer {
  const { statusCode, json } = error as { statusCode?: number; json?: { message?: unknown } };
  if (statusCode === 304) return { status: 304 };
  const known = statusCode !== undefined && statusCode >= 400 && statusCode <= 599;
  const words = typeof json?.message === 'string' ? json.message : messageOf(error);
  return { status: known ? statusCode : 502, body: { message: printable(words, 500) } };
}

function parserWords({ code, message }: NodeJS.ErrnoException): string {
  return `not a request as HTTP has them: ${printable(code ?? message, 80)}`;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new TierbedError('unavailable', `cannot listen on ${host}:${port}: ${cause.message}`, {
          fix: 'Choose another --port, or 0 for a free one.',
          cause,
        }),
      );
    });
    server.listen(port, host, () => resolve());
  });
}
