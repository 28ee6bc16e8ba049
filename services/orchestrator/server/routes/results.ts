import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { TierbedError } from '../../../../base/errors.js';
import { RESULT_FILES } from '../../results/results-folder.js';
import type { ResultFile } from '../api.js';
import type { ServerContext } from '../context.js';
import { routeSchema } from '../route-schema.js';
import { idParams, resultFile, whole } from '../schemas.js';

const NAMES: readonly string[] = Object.values(RESULT_FILES);

const TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json; charset=utf-8',
  '.yaml': 'application/yaml; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.parquet': 'application/vnd.apache.parquet',
};

const typeOf = (name: string): string => TYPES[extname(name)] ?? 'application/octet-stream';

/** The files of a study's results folder: those that docs/results.md names, and no others. */
export function resultRoutes(app: FastifyInstance, { studies }: ServerContext): void {
  app.get<{ Params: { id: string } }>(
    '/v1/studies/:id/results',
    {
      schema: routeSchema({
        tag: 'results',
        summary: "List a study's result files",
        params: idParams,
        answers: { 200: whole({ files: { type: 'array', items: resultFile } }) },
      }),
    },
    async ({ params }) => {
      const folder = studies.results(params.id);
      const files: ResultFile[] = [];
      for (const name of NAMES) {
        const found = await stat(join(folder, name)).catch(() => undefined);
        if (found?.isFile()) files.push({ name, bytes: found.size, type: typeOf(name) });
      }
      return { files };
    },
  );

  const { properties } = idParams as { properties: Record<string, object> };
  app.get<{ Params: { id: string; file: string } }>(
    '/v1/studies/:id/results/:file',
    {
      schema: routeSchema({
        tag: 'results',
        summary: 'Get a result file',
        params: whole({ ...properties, file: { enum: NAMES } }),
        answers: { 200: { type: 'string', format: 'binary', description: 'the file as it is now' } },
        produces: 'application/octet-stream',
      }),
    },
    async ({ params: { id, file } }, reply) => {
      // No links: what is in the folder is what is given.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
      const handle = await open(join(studies.results(id), file), flags).catch((cause: unknown) => {
        throw new TierbedError('missing', `the study ${id} has no ${file}`, {
          fix: `Get what there is: tierbed study results ${id}`,
          cause,
        });
      });
      const { size } = await handle.stat();
      reply.header('content-type', typeOf(file)).header('content-length', size);
      reply.header('content-disposition', `attachment; filename="${file}"`).header('x-content-type-options', 'nosniff');
      // As long as it is now: a file that is being written to must not outgrow what was announced.
      if (size > 0) return reply.send(handle.createReadStream({ start: 0, end: size - 1 }));
      await handle.close();
      return reply.send('');
    },
  );
}
