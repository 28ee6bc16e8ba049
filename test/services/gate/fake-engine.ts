import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startGate } from '../../../services/gate/gate.js';

export const MOBILE = 'a'.repeat(64);
export const EDGE = 'b'.repeat(64);
export const GATE = 'c'.repeat(64);
export const GRAFANA = 'd'.repeat(64);
/** A container of another project that has a service of the same name. */
export const STRANGER = 'e'.repeat(64);
/** What `docker compose run edge` would start. */
export const ONE_OFF = 'f'.repeat(64);
/** The password of something, as containers have them in their environment. */
export const SECRET = 'hunter2';

const CONTAINERS = [
  listed(MOBILE, 'bed', 'mobile'),
  listed(EDGE, 'bed', 'edge'),
  listed(GATE, 'bed', 'gate'),
  listed(GRAFANA, 'bed', 'grafana'),
  listed(STRANGER, 'other', 'edge-of-other'),
  { ...listed(ONE_OFF, 'bed', 'cloud'), Labels: { ...labels('bed', 'cloud'), 'com.docker.compose.oneoff': 'True' } },
];

function labels(project: string, service: string): Record<string, string> {
  return {
    'com.docker.compose.project': project,
    'com.docker.compose.service': service,
    'com.docker.compose.config-hash': 'f00d',
  };
}

function listed(Id: string, project: string, service: string) {
  return {
    Id,
    Names: [`/${project}-${service}-1`],
    State: 'running',
    Status: 'Up',
    Created: 1,
    Labels: labels(project, service),
  };
}

/** What arrived at the socket. */
export interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface Line {
  readonly refused?: boolean;
  readonly why?: string;
  readonly path?: string;
  readonly method?: string;
  readonly remote?: string;
}

export interface TestGate {
  readonly port: number;
  /** What arrived at the socket since the last look, but for what the gate asks of its own accord: the project's list. */
  arrived(): readonly Arrived[];
  /** What was logged since the last look. */
  logged(): readonly Line[];
  /** Sends bytes on one connection, in pieces, and gives all that comes back until it is closed. */
  raw(...pieces: readonly (string | Uint8Array)[]): Promise<string>;
  /** Sends a well-formed request and gives the answer. */
  call(method: string, target: string, options?: CallOptions): Promise<Answer>;
}

export interface CallOptions {
  readonly headers?: readonly string[];
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const OWN_LIST = `/containers/json?all=true&filters=${encodeURIComponent('{"label":["com.docker.compose.project=bed"]}')}`;

/** A gate before a Docker socket that only notes what arrives. Its filter of the list is leaky: it lists everything. */
export async function testGate(t: TestContext, requestTimeoutMs = 2_000): Promise<TestGate> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-gate-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const socketPath = join(folder, 'docker.sock');
  const arrived: Arrived[] = [];
  const engine = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url = '', headers } = request;
    const json = (status: number, value: unknown): unknown =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (url === OWN_LIST) return json(200, CONTAINERS);
    arrived.push({ method, url, headers, body });
    if (url === '/_ping') return response.end('OK');
    if (url === '/info') return json(200, { NCPU: 2, MemTotal: 8 * 2 ** 30, Name: SECRET });
    if (url === '/version') return json(200, { Version: '20.10.24', ApiVersion: '1.41', Components: [SECRET] });
    if (/^\/containers\/[a-f0-9]{12,64}\/json$/.test(url)) return json(200, inspection(url.split('/')[2] as string));
    if (/\/stats\?/.test(url))
      return json(200, { read: 'now', cpu_stats: { cpu_usage: { total_usage: 5 } }, name: SECRET });
    if (url.endsWith('/update')) return json(200, { Warnings: [SECRET] });
    if (url.endsWith(`${MOBILE}/unpause`)) return json(500, { message: 'Container is not paused' });
    if (url.endsWith(`${MOBILE}/start`)) return response.writeHead(304).end();
    return response.writeHead(204).end();
  });
  for (const event of ['upgrade', 'connect'] as const) {
    engine.on(event, (request, socket) => {
      arrived.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: event });
      socket.destroy();
    });
  }
  engine.on('clientError', (error, socket) => {
    arrived.push({ method: '', url: '', headers: {}, body: error.message });
    socket.destroy();
  });
  await new Promise<void>((resolve) => engine.listen(socketPath, resolve));
  t.after(() => {
    engine.close();
    engine.closeAllConnections();
  });

  const lines: Line[] = [];
  const note = (line: Line): void => {
    lines.push(line);
  };
  const log = { info: note, warn: note } as Parameters<typeof startGate>[0]['log'];
  const gate = await startGate({
    host: '127.0.0.1',
    port: 0,
    socketPath,
    self: GATE.slice(0, 12),
    log,
    requestTimeoutMs,
  });
  t.after(() => gate.close());
  const port = Number(gate.address.split(':')[1]);
  const take = <T>(list: T[]): readonly T[] => list.splice(0);
  take(arrived);
  const raw = (...pieces: readonly (string | Uint8Array)[]): Promise<string> => sendRaw(port, pieces);
  return {
    port,
    arrived: () => take(arrived),
    logged: () => take(lines),
    raw,
    async call(method, target, { headers = [], body = '' } = {}) {
      const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
      const head = [`${method} ${target} HTTP/1.1`, `Host: gate:${port}`, ...length, ...headers];
      const answer = await raw(`${head.join('\r\n')}\r\n\r\n${body}`);
      const [top = '', ...rest] = answer.split('\r\n\r\n');
      const chunked = /transfer-encoding: chunked/i.test(top);
      const text = rest.join('\r\n\r\n');
      return { status: Number(top.split(' ')[1]), text: chunked ? unchunked(text) : text };
    },
  };
}

function inspection(id: string) {
  const found = CONTAINERS.find(({ Id }) => Id.startsWith(id));
  return {
    Id: found?.Id,
    Name: found?.Names[0],
    Image: 'sha256:0',
    Created: 'then',
    RestartCount: 0,
    Path: SECRET,
    Mounts: [{ Source: SECRET }],
    State: {
      Status: 'running',
      Running: true,
      Health: { Status: 'healthy', FailingStreak: 0, Log: [{ Output: SECRET }] },
    },
    Config: {
      Image: 'tierbed',
      Env: [`PASSWORD=${SECRET}`],
      Cmd: [SECRET],
      Labels: { ...found?.Labels, note: SECRET },
    },
    HostConfig: { CpuPeriod: 5000, CpuQuota: 2500, Memory: 2 ** 28, MemorySwap: 2 ** 28, Binds: [SECRET] },
    NetworkSettings: { Networks: { bed_control: { IPAddress: '10.0.0.2', Aliases: [SECRET] } } },
  };
}

function unchunked(text: string): string {
  let rest = text;
  let whole = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, end), 16);
    if (!(size > 0)) return whole;
    whole += rest.slice(end + 2, end + 2 + size);
    rest = rest.slice(end + 2 + size + 2);
  }
}

function sendRaw(port: number, pieces: readonly (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true }, async () => {
      for (const piece of pieces) {
        if (!socket.writable) return;
        socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
        await new Promise((next) => setTimeout(next, 20));
      }
    });
    const limit = setTimeout(() => socket.destroy(new Error(`no end after ${JSON.stringify(answer)}`)), 20_000);
    socket
      .setEncoding('utf8')
      .on('data', (text) => {
        answer += text;
      })
      .on('error', (error: NodeJS.ErrnoException) => {
        // The gate may close before it has read all.
        if (!['ECONNRESET', 'EPIPE'].includes(error.code ?? '')) reject(error);
      })
      .on('close', () => {
        clearTimeout(limit);
        resolve(answer);
      });
  });
}
