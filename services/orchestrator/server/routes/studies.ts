import type { FastifyInstance } from 'fastify';
import type { NewStudy, StudyState, StudyView } from '../api.js';
import type { ServerContext } from '../context.js';
import { streamEvents } from '../event-stream.js';
import { routeSchema } from '../route-schema.js';
import { idParams, newStudy, studyView, whole } from '../schemas.js';

/** A study with the list of a large data set's files. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

const OVER: readonly StudyState[] = ['done', 'failed', 'stopped'];

interface ById {
  Params: { id: string };
}

/** Starts, lists, stops, resumes and removes studies, and tells what happens to them. */
export function studyRoutes(app: FastifyInstance, { studies, heartbeatMs, closing }: ServerContext): void {
  const tag = 'studies';
  app.post<{ Body: NewStudy }>(
    '/v1/studies',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: routeSchema({ tag, summary: 'Start a study', body: newStudy, answers: { 201: studyView } }),
    },
    async ({ body }, reply) => {
      const view = await studies.add(body);
      return reply.code(201).header('location', `/v1/studies/${view.id}`).send(view);
    },
  );
  const listOfStudies = whole({ studies: { type: 'array', items: studyView } });
  app.get(
    '/v1/studies',
    { schema: routeSchema({ tag, summary: 'List the studies, newest first', answers: { 200: listOfStudies } }) },
    async () => ({ studies: studies.list() }),
  );
  app.get<ById>(
    '/v1/studies/:id',
    { schema: routeSchema({ tag, summary: 'Show a study', params: idParams, answers: { 200: studyView } }) },
    async ({ params }) => studies.get(params.id),
  );
  const stop = 'Stop a study; what is recorded stays';
  app.post<ById>(
    '/v1/studies/:id/stop',
    { schema: routeSchema({ tag, summary: stop, params: idParams, answers: { 200: studyView } }) },
    async ({ params }) => studies.stop(params.id),
  );
  const resume = 'Finish a study that was stopped or failed';
  app.post<ById>(
    '/v1/studies/:id/resume',
    { schema: routeSchema({ tag, summary: resume, params: idParams, answers: { 200: studyView } }) },
    async ({ params }) => studies.resume(params.id),
  );
  app.delete<ById>(
    '/v1/studies/:id',
    {
      schema: routeSchema({
        tag,
        summary: 'Remove a study with its results',
        params: idParams,
        answers: { 204: { type: 'null', description: 'it is removed' } },
      }),
    },
    async ({ params }, reply) => {
      await studies.remove(params.id);
      return reply.code(204).send();
    },
  );
  app.get<ById>(
    '/v1/studies/:id/events',
    {
      schema: routeSchema({
        tag,
        summary: 'Follow a study',
        description:
          'Server-sent events: `state` (a study, as GET shows it), `progress`, `samples`, `log`. Last-Event-ID goes on ' +
          'behind an event. The stream ends when the study is over; a reader that is too slow is cut off.',
        params: idParams,
        answers: { 200: { type: 'string', description: 'events until the study is over' } },
        produces: 'text/event-stream',
      }),
    },
    (request, reply) => {
      const { id } = request.params;
      const buffer = studies.events(id);
      const view = studies.get(id);
      const lastId = request.headers['last-event-id'];
      reply.hijack();
      // How the study stands now goes before how it stood in between.
      const missed = typeof lastId === 'string' ? buffer.after(lastId).filter(({ event }) => event !== 'state') : [];
      streamEvents(reply.raw, {
        buffer,
        missed,
        now: { id: '', event: 'state', data: JSON.stringify(view) },
        headers: reply.getHeaders(),
        heartbeatMs,
        isLast: ({ event, data }) => event === 'state' && OVER.includes((JSON.parse(data) as StudyView).state),
        signal: closing,
      });
    },
  );
}
