import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { pino } from 'pino';
import { silent } from '../../../../base/progress.js';
import { loadStudy, packStudy } from '../../../../services/orchestrator/index.js';
import { local } from '../../../../services/orchestrator/runtimes/local.js';
import {
  type RunningServer,
  type ServerOptions,
  type StudyView,
  startServer,
} from '../../../../services/orchestrator/server/index.js';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly body: any;
  readonly headers: Headers;
}

/** A server in a temporary folder, and calls whose answers are checked against its own document. */
export class Harness {
  readonly server: RunningServer;
  readonly stateFolder: string;
  // biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document
  readonly document: any;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });

  private constructor(server: RunningServer, stateFolder: string, document: unknown) {
    this.server = server;
    this.stateFolder = stateFolder;
    this.document = document;
  }

  static async start(t: TestContext, options: Partial<ServerOptions> = {}): Promise<Harness> {
    const stateFolder = options.stateFolder ?? mkdtempSync(join(tmpdir(), 'tierbed-state-'));
    const server = await startServer({
      runtime: local,
      host: '127.0.0.1',
      port: 0,
      stateFolder,
      log: pino({ level: 'silent' }),
      ...options,
    });
    t.after(async () => {
      await server.close();
      if (options.stateFolder === undefined) rmSync(stateFolder, { recursive: true, force: true });
    });
    const document = await (await fetch(`${server.url}/openapi.json`)).json();
    return new Harness(server, stateFolder, document);
  }

  get token(): string {
    return this.server.token.value;
  }

  /** A call with the token. */
  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const raw = body instanceof Uint8Array || typeof body === 'string';
    const response = await fetch(this.server.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body !== undefined && { 'content-type': raw ? 'application/octet-stream' : 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: raw ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    const answer = { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
    if (isJson) this.#check(method, path, answer);
    return answer;
  }

  #check(method: string, path: string, { status, body }: Answer): void {
    const bare = path.split('?')[0] as string;
    const fits = (route: string): boolean => new RegExp(`^${route.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare);
    const template = bare in this.document.paths ? bare : Object.keys(this.document.paths).find(fits);
    const responses = template && this.document.paths[template]?.[method.toLowerCase()]?.responses;
    const schema = (responses?.[status] ?? responses?.[`${Math.floor(status / 100)}XX`])?.content?.['application/json']
      ?.schema;
    if (!schema) {
      assert.ok(status >= 400, `${method} ${path} ${status} is not in the document`);
      return;
    }
    const valid = this.#ajv.validate(schema, body);
    assert.ok(valid, `${method} ${path} ${status}: ${this.#ajv.errorsText()}: ${JSON.stringify(body)}`);
  }

  /** Sends a study with its files. */
  async submit(path: string): Promise<StudyView> {
    const file = await loadStudy(path);
    const context = { progress: silent, signal: new AbortController().signal };
    const packed = await packStudy(file, await readFile(path, 'utf8'), context);
    for (const { sha256, source } of packed.files) {
      const put = await this.call('PUT', `/v1/files/${sha256}`, new Uint8Array(await readFile(source)));
      assert.equal(put.status, 201, JSON.stringify(put.body));
    }
    const files = packed.files.map(({ path: name, sha256 }) => ({ path: name, sha256 }));
    const { status, body, headers } = await this.call('POST', '/v1/studies', {
      study: packed.text,
      name: 'tiny',
      files,
    });
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(headers.get('location'), `/v1/studies/${body.id}`);
    return body;
  }

  /** Waits until a study is what the condition says. */
  async until(id: string, what: string, condition: (view: StudyView) => boolean): Promise<StudyView> {
    for (const end = Date.now() + 90_000; ; await delay(50)) {
      const { body } = await this.call('GET', `/v1/studies/${id}`);
      if (condition(body)) return body;
      if (Date.now() > end) throw new Error(`waited for ${what}: ${JSON.stringify(body)}`);
      if (body.state === 'failed') throw new Error(`failed before ${what}: ${JSON.stringify(body.error)}`);
    }
  }
}

export const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
