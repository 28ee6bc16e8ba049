import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { TierbedError } from '../../../../base/errors.js';
import type { ServerContext } from '../context.js';
import { routeSchema } from '../route-schema.js';
import { MAX_HASHES, sha256, whole } from '../schemas.js';

/** Uploads by content. */
export function fileRoutes(app: FastifyInstance, { blobs }: ServerContext): void {
  const hashes = (maxItems: number): object => ({ type: 'array', maxItems, items: sha256 });
  app.post<{ Body: { sha256: readonly string[] } }>(
    '/v1/files/missing',
    {
      schema: routeSchema({
        tag: 'files',
        summary: 'Ask which files are not uploaded yet',
        body: whole({ sha256: hashes(MAX_HASHES) }),
        answers: { 200: whole({ missing: hashes(MAX_HASHES) }) },
      }),
    },
    async ({ body }) => ({ missing: await blobs.missing(body.sha256) }),
  );
  app.put<{ Params: { sha256: string }; Body: Readable | undefined }>(
    '/v1/files/:sha256',
    {
      schema: routeSchema({
        tag: 'files',
        summary: 'Upload a file by the sha256 of its content',
        params: whole({ sha256 }),
        body: {},
        consumes: 'application/octet-stream',
        answers: { 201: whole({ sha256, bytes: { type: 'integer' } }) },
      }),
    },
    async ({ params, body, headers }, reply) => {
      if (body === undefined) {
        throw new TierbedError('invalid', 'the request has no content', {
          fix: "Send the file's bytes as application/octet-stream.",
        });
      }
      const announced = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
      const { bytes } = await blobs.put(params.sha256, body, announced);
      return reply.code(201).send({ sha256: params.sha256, bytes });
    },
  );
}
