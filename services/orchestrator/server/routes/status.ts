import type { FastifyInstance } from 'fastify';
import { version } from '../../../../base/paths.js';
import type { StatusView } from '../api.js';
import type { ServerContext } from '../context.js';
import { routeSchema } from '../route-schema.js';
import { statusView } from '../schemas.js';

/** How the orchestrator stands. */
export function statusRoutes(app: FastifyInstance, { access, studies, startedAt }: ServerContext): void {
  app.get(
    '/v1/status',
    {
      schema: routeSchema({ tag: 'status', summary: 'Show how the orchestrator stands', answers: { 200: statusView } }),
    },
    async (): Promise<StatusView> => ({
      version,
      runtime: access.runtime.name,
      startedAt,
      study: studies.running,
      queued: studies.queued,
      testbed: access.kind,
    }),
  );
}
