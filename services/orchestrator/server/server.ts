import { mkdir } from 'node:fs/promises';
import { type AddressInfo, isIP } from 'node:net';
import { join } from 'node:path';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { diskError } from '../../../base/disk-error.js';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { version } from '../../../base/paths.js';
import { FAULTS } from '../faults/index.js';
import { openFaultBoard } from '../faults/open-board.js';
import { OrchestratorMetrics } from '../metrics/metrics.js';
import { lockFolder } from '../results/lock.js';
import type { Runtime } from '../runtimes/runtime.js';
import { BlobStore } from './blob-store.js';
import type { ServerContext } from './context.js';
import { HttpError, sendError } from './errors.js';
import { allowedHosts, checkCaller, checkToken } from './guard.js';
import { faultRoutes } from './routes/faults.js';
import { fileRoutes } from './routes/files.js';
import { linkRoutes } from './routes/links.js';
import { openRoutes } from './routes/open.js';
import { resultRoutes } from './routes/results.js';
import { statusRoutes } from './routes/status.js';
import { studyRoutes } from './routes/studies.js';
import { tierRoutes } from './routes/tiers.js';
import { Studies } from './studies.js';
import { StudyStore } from './study-store.js';
import { type FaultSupport, TestbedAccess } from './testbed-access.js';
import { openToken, type Token } from './token.js';

/** What there is unless a test says otherwise. */
const FAULT_SUPPORT: FaultSupport = { known: FAULTS, board: openFaultBoard };

const HEARTBEAT_MS = 15_000;
const MAX_BODY_BYTES = 1024 * 1024;
/** A connection on which nothing moves for this long is closed. The longest call, proving slow links, takes minutes. */
const IDLE_MS = 600_000;
/** Sent with every answer, so that a client of another version can say so. */
export const VERSION_HEADER = 'tierbed-version';

export interface ServerOptions {
  readonly runtime: Runtime;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Token, studies, results and uploads are kept here. */
  readonly stateFolder: string;
  /** Names, beside its own, that the service is called by. */
  readonly allowHosts?: readonly string[];
  /** In place of Tierbed's own; a seam for tests. */
  readonly faults?: FaultSupport;
  readonly log: FastifyBaseLogger;
  readonly heartbeatMs?: number;
  readonly maxFileBytes?: number;
}

export interface RunningServer {
  /** http://HOST:PORT */
  readonly url: string;
  readonly token: Token;
  readonly studies: Studies;
  /** Ends the running study so that the next start goes on with it, then the server. */
  close(): Promise<void>;
}

/**
 * Starts the orchestrator's service.
 *
 * @throws TierbedError `refused` when the state folder is in use or cannot be written, `unavailable` when the port is taken
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { stateFolder } = options;
  await mkdir(stateFolder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw diskError(error, stateFolder);
  });
  const lock = await lockFolder(stateFolder);
  const closing = new AbortController();
  let app: FastifyInstance | undefined;
  let studies: Studies | undefined;
  const close = async (): Promise<void> => {
    closing.abort();
    await studies?.close();
    await app?.close();
    await lock.release();
  };
  try {
    const token = await openToken(stateFolder);
    const blobs = await BlobStore.open(join(stateFolder, 'files'), options.maxFileBytes);
    const metrics = new OrchestratorMetrics();
    const access = new TestbedAccess(options.runtime, metrics, options.faults ?? FAULT_SUPPORT);
    const store = new StudyStore(join(stateFolder, 'studies'));
    const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    studies = await Studies.open({ store, blobs, access, metrics, log: options.log });
    const startedAt = new Date().toISOString();
    const context = { studies, blobs, access, metrics, startedAt, heartbeatMs, closing: closing.signal };
    app = await buildApp(options, token.value, context);
    const url = await listen(app, options);
    void access.keep(closing.signal);
    return { url, token, studies, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The service without a port. */
async function buildApp(options: ServerOptions, token: string, context: ServerContext): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    connectionTimeout: IDLE_MS,
    forceCloseConnections: true,
    // What is sent is taken as it is or refused, never changed.
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true, verbose: true, strict: false },
    },
  });
  guard(app, options, token);
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  app.setNotFoundHandler(({ method, url }) => {
    throw new TierbedError('missing', `there is no ${method} ${url.split('?')[0]}`, { fix: 'See /openapi.json.' });
  });
  // The schemas of answers are for readers: what is sent is what the types say.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  await app.register(swagger, { openapi: OPENAPI });
  await app.register(async (routes) => {
    openRoutes(routes, context);
    statusRoutes(routes, context);
    studyRoutes(routes, context);
    resultRoutes(routes, context);
    fileRoutes(routes, context);
    linkRoutes(routes, context);
    tierRoutes(routes, context);
    faultRoutes(routes, context);
  });
  await app.ready();
  return app;
}

/** Before anything of a request is read: who sends it, and whether the token is right. */
function guard(app: FastifyInstance, { host, allowHosts = [] }: ServerOptions, token: string): void {
  const names = allowedHosts([...(isIP(host) === 0 ? [host] : []), ...allowHosts]);
  app.addHook('onRequest', async (request, reply) => {
    reply.header(VERSION_HEADER, version).header('cache-control', 'no-store');
    checkCaller(request.headers, names);
    if (!isOpen(request.routeOptions.url)) checkToken(request.headers.authorization, token);
  });
}

const OPEN: readonly string[] = ['/healthz', '/readyz', '/metrics', '/openapi.json'];

function isOpen(route: string | undefined): boolean {
  return route !== undefined && OPEN.includes(route);
}

const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'Tierbed orchestrator',
    version,
    description: 'Starts studies and changes links, tiers and faults while they run. docs/api.md has examples.',
  },
  components: { securitySchemes: { token: { type: 'http' as const, scheme: 'bearer' } } },
};

async function listen(app: FastifyInstance, { host, port }: ServerOptions): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new HttpError(
      503,
      'unavailable',
      `cannot listen on ${host}:${port}: ${messageOf(error)}`,
      'Choose another --port, or 0 for a free one.',
    );
  }
  const { address, port: bound } = app.server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${bound}`;
}
