import { errorSchema, nothing } from './schemas.js';

/** What a route is, in short: everything that is not named takes nothing. */
export interface RouteShape {
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: object;
  readonly body?: object;
  /** The media type of the body, where it is not JSON. */
  readonly consumes?: string;
  /** Answers by status. */
  readonly answers: Readonly<Record<number, object>>;
  /** The media type of the answer, where it is not JSON. */
  readonly produces?: string;
  /** No token is needed. */
  readonly open?: boolean;
  readonly headers?: object;
}

/** The schema of a route, for its checks and for /openapi.json. */
export function routeSchema(shape: RouteShape): object {
  const { tag, summary, description, params, body, headers, answers, open } = shape;
  const typed = (schema: object, type: string | undefined): object =>
    type === undefined
      ? schema
      : { description: (schema as { description?: string }).description ?? '', content: { [type]: { schema } } };
  return {
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(params !== undefined && { params }),
    ...(headers !== undefined && { headers }),
    querystring: nothing,
    ...(body !== undefined && {
      body: shape.consumes === undefined ? body : { content: { [shape.consumes]: { schema: body } } },
    }),
    response: {
      ...Object.fromEntries(Object.entries(answers).map(([status, schema]) => [status, typed(schema, shape.produces)])),
      '4xx': errorSchema,
      '5xx': errorSchema,
    },
    security: open ? [] : [{ token: [] }],
  };
}
