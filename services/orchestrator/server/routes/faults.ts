import type { FastifyInstance } from 'fastify';
import type { FaultRequest, FaultsView } from '../api.js';
import type { ServerContext } from '../context.js';
import { routeSchema } from '../route-schema.js';
import { activeFault, faultRequest, faultsView, idParams } from '../schemas.js';

/** Puts faults in force on the testbed and undoes them. */
export function faultRoutes(app: FastifyInstance, { access, studies, closing }: ServerContext): void {
  const tag = 'faults';
  app.get(
    '/v1/faults',
    {
      schema: routeSchema({
        tag,
        summary: 'List the faults that there are and those in force',
        answers: { 200: faultsView },
      }),
    },
    async (): Promise<FaultsView> => {
      const known = access.knownFaults.map(({ name, help, options }) => ({ name, help, options }));
      return { known, active: (await access.boardIfAny(closing))?.active() ?? [] };
    },
  );
  app.post<{ Body: FaultRequest }>(
    '/v1/faults',
    {
      schema: routeSchema({ tag, summary: 'Put a fault in force', body: faultRequest, answers: { 201: activeFault } }),
    },
    async ({ body }, reply) => {
      const { fault: name, forS, ...options } = body;
      const board = await access.board(closing);
      const fault = await board.start({ fault: name, options, ...(forS !== undefined && { forS }) });
      studies.tellChange({ fault: body, id: fault.id });
      return reply.code(201).send(fault);
    },
  );
  app.delete<{ Params: { id: string } }>(
    '/v1/faults/:id',
    {
      schema: routeSchema({
        tag,
        summary: 'Undo a fault',
        params: idParams,
        answers: { 204: { type: 'null', description: 'it is undone' } },
      }),
    },
    async ({ params }, reply) => {
      await (await access.board(closing)).stop(params.id);
      studies.tellChange({ faultUndone: params.id });
      return reply.code(204).send();
    },
  );
}
