import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { packageRoot } from '../../../../base/paths.js';
import { Harness } from './harness.js';

/** Routes as the sources have them. */
function routesInSource(): string[] {
  const folder = join(packageRoot, 'services/orchestrator/server/routes');
  return readdirSync(folder).flatMap((name) =>
    [
      ...readFileSync(join(folder, name), 'utf8').matchAll(
        /app\.(get|put|post|patch|delete)(?:<[^(]*>)?\(\s*'([^']+)'/g,
      ),
    ].map(([, method, path]) => `${method} ${path?.replaceAll(/:(\w+)/g, '{$1}')}`),
  );
}

test('the document is OpenAPI 3.1, and has every route, its parameters, bodies and answers', async (t) => {
  const { document } = await Harness.start(t);
  assert.match(document.openapi, /^3\.1\.\d$/);
  assert.ok(document.info.title && document.info.version);
  const documented = Object.entries<Record<string, object>>(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  const inSource = routesInSource();
  assert.ok(inSource.length >= 20, `found ${inSource.length} routes in the sources`);
  assert.deepEqual(documented.toSorted(), inSource.toSorted());

  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  for (const [path, methods] of Object.entries<Record<string, Operation>>(document.paths)) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const [method, operation] of Object.entries(methods)) {
      const name = `${method} ${path}`;
      const parameters = operation.parameters ?? [];
      assert.deepEqual(
        parameters.filter((p) => p.in === 'path').map((p) => p.name),
        names,
        name,
      );
      for (const parameter of parameters) {
        ajv.compile(parameter.schema);
        assert.equal(parameter.in !== 'path' || parameter.required, true, name);
      }
      for (const { schema } of Object.values(operation.requestBody?.content ?? {})) ajv.compile(schema);
      if (['post', 'patch', 'put'].includes(method) && !/\/(stop|resume)$/.test(path))
        assert.ok(operation.requestBody, name);
      const good = Object.keys(operation.responses).filter((status) => status.startsWith('2'));
      assert.equal(good.length, 1, name);
      for (const response of Object.values(operation.responses)) {
        assert.equal(typeof response.description, 'string', name);
        for (const { schema } of Object.values(response.content ?? {})) ajv.compile(schema);
      }
      assert.deepEqual(operation.security, path.startsWith('/v1/') ? [{ token: [] }] : [], name);
    }
  }
  assert.equal(document.components.securitySchemes.token.scheme, 'bearer');
});

interface Media {
  readonly content?: Record<string, { schema: object }>;
}

interface Operation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: object }[];
  readonly requestBody?: Media;
  readonly responses: Record<string, Media & { description?: string }>;
  readonly security?: unknown;
}

test('what is not in the document is refused by its schemas, with the place and the fix', async (t) => {
  const harness = await Harness.start(t);
  const cases: [string, string, unknown, RegExp, RegExp?][] = [
    [
      'POST',
      '/v1/studies',
      { study: 'x', nmae: 'y' },
      /^body: nmae: unknown key; allowed: study, name, files/,
      /Did you mean 'name'/,
    ],
    ['POST', '/v1/studies', {}, /^body: the key 'study' is missing/],
    ['POST', '/v1/studies', { study: 5 }, /^body: study: expected string, got 5/],
    ['POST', '/v1/studies', { study: 'x', name: '../x' }, /^body: name: /],
    ['POST', '/v1/studies', undefined, /^body: /],
    ['POST', '/v1/files/missing', { sha256: ['abc'] }, /^body: sha256\[0\]: /],
    ['PUT', '/v1/files/ABC', 'x', /^params: sha256: /],
    [
      'PATCH',
      '/v1/links/mobile-egde',
      {},
      /^params: name: .*allowed: mobile-edge, edge-cloud/,
      /Did you mean 'mobile-edge'/,
    ],
    ['PATCH', '/v1/links/mobile-edge', { delayMs: -1 }, /^body: delayMs: must be >= 0, got -1/],
    ['PATCH', '/v1/links/mobile-edge', { rateMbps: '10' }, /^body: rateMbps: expected number, got "10"/],
    ['PATCH', '/v1/links/mobile-edge', { rate: 1 }, /^body: rate: unknown key/],
    [
      'PATCH',
      '/v1/links/mobile-edge',
      { direction: 'in' },
      /^body: direction: "in" is not allowed; allowed: up, down, both/,
    ],
    ['PATCH', '/v1/tiers/edge', {}, /^body: must NOT have fewer than 1 properties/],
    ['PATCH', '/v1/tiers/edge', { cpus: 0 }, /^body: cpus: must be > 0/],
    ['POST', '/v1/faults', { tier: 'edge' }, /^body: the key 'fault' is missing/],
    ['POST', '/v1/faults', { fault: 'x', deep: { a: 1 } }, /^body: deep: expected/],
    ['GET', '/v1/status?a=1', undefined, /^querystring: a: unknown key/],
    ['GET', '/v1/studies/..%2f..%2fetc', undefined, /^params: id: /],
  ];
  for (const [method, path, body, message, fix] of cases) {
    const answer = await harness.call(method, path, body);
    const name = `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`;
    assert.equal(answer.status, 400, name);
    assert.equal(answer.body.error.kind, 'invalid', name);
    assert.match(answer.body.error.message, message, name);
    if (fix) assert.match(answer.body.error.fix, fix, name);
  }
  const broken = await fetch(`${harness.server.url}/v1/studies`, {
    method: 'POST',
    headers: { authorization: `Bearer ${harness.token}`, 'content-type': 'application/json' },
    body: '{"study":',
  });
  assert.equal(broken.status, 400);
  assert.equal(((await broken.json()) as { error: { kind: string } }).error.kind, 'invalid');
  const huge = await harness.call('POST', '/v1/files/missing', { sha256: Array(20_000).fill('a'.repeat(64)) });
  assert.equal(huge.status, 413);
  assert.equal(huge.body.error.kind, 'exhausted');
});

test('signs of life and figures need no token and no more', async (t) => {
  const harness = await Harness.start(t);
  for (const [path, text] of [
    ['/healthz', /^ok/],
    ['/readyz', /^ready/],
    ['/metrics', /^/],
  ] as const) {
    const answer = await fetch(harness.server.url + path);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), text);
  }
  const missing = await harness.call('GET', '/v1/nothing');
  assert.equal(missing.status, 404);
  assert.deepEqual(missing.body.error.kind, 'missing');
});
