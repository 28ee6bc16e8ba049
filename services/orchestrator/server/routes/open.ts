import type { FastifyInstance } from 'fastify';
import type { ServerContext } from '../context.js';
import { HttpError } from '../errors.js';
import { routeSchema } from '../route-schema.js';

const TEXT = 'text/plain; charset=utf-8';

/** What needs no token: signs of life, figures for Prometheus, and what the API is. */
export function openRoutes(app: FastifyInstance, { access, metrics, closing }: ServerContext): void {
  const text = { type: 'string' };
  const shape = (summary: string, produces = 'text/plain') =>
    routeSchema({ tag: 'status', summary, answers: { 200: text }, produces, open: true });
  app.get('/healthz', { schema: shape('Whether the process lives') }, async (_, reply) =>
    reply.type(TEXT).send('ok\n'),
  );
  app.get('/readyz', { schema: shape('Whether it takes requests') }, async (_, reply) => {
    if (closing.aborted) throw new HttpError(503, 'unavailable', 'shutting down');
    if (access.waitingFor !== undefined) throw new HttpError(503, 'unavailable', access.waitingFor);
    return reply.type(TEXT).send('ready\n');
  });
  app.get('/metrics', { schema: shape('Figures for Prometheus') }, async (_, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  const document = { type: 'object', additionalProperties: true, description: 'OpenAPI 3.1' };
  app.get(
    '/openapi.json',
    { schema: routeSchema({ tag: 'status', summary: 'What this API is', answers: { 200: document }, open: true }) },
    async () => app.swagger(),
  );
}
