import { Worker } from 'node:worker_threads';
import { type ErrorKind, messageOf, TierbedError } from '../../../base/errors.js';
import { openRelayProbe } from '../probe/relay-probe.js';
import type { ProxyCalls, ProxyRequest } from '../proxy/protocol.js';
import type { LinkDriver, LinkSettings, OpenLinks, Route } from '../types.js';
import { validateLinkSettings, validateRoute } from '../validate.js';
import type { WorkerAnswer } from '../worker-call.js';

/** Seeds the jitter of every direction. */
const JITTER_SEED = 1;

interface Pending {
  resolve(result: never): void;
  reject(error: unknown): void;
}

/** The proxy's worker, as a caller sees it. It keeps the process alive only while it is asked for something. */
class ProxyWorker {
  readonly #worker = new Worker(new URL('../proxy/worker.js', import.meta.url));
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #failure: TierbedError | undefined;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (answer: WorkerAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#fail(`the link proxy failed: ${messageOf(error)}`, error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#fail('the links are closed');
        resolve();
      });
    });
  }

  call<M extends keyof ProxyCalls>(method: M, ...args: Parameters<ProxyCalls[M]>): Promise<ReturnType<ProxyCalls[M]>> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, method, args } satisfies ProxyRequest);
    });
  }

  /** Ends the worker: nicely if it answers, by force if it does not. */
  async close(): Promise<void> {
    if (!this.#failure) {
      const patience = setTimeout(() => void this.#worker.terminate(), 2000);
      await this.call('close').catch(() => {});
      clearTimeout(patience);
    }
    await this.#worker.terminate();
    await this.#exited;
  }

  #settle(answer: WorkerAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (answer.ok) pending?.resolve(answer.result as never);
    else {
      const fix = answer.fix === undefined ? {} : { fix: answer.fix };
      pending?.reject(new TierbedError(answer.kind as ErrorKind, answer.message, fix));
    }
  }

  #fail(message: string, cause?: unknown): void {
    this.#failure ??= new TierbedError(cause ? 'internal' : 'unavailable', message, { cause });
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}

function check(link: LinkSettings): void {
  validateLinkSettings(link);
  for (const direction of ['up', 'down'] as const) {
    const { lossPct = 0, trace } = link[direction];
    const steps = trace?.kind === 'steps' ? trace.steps : [];
    if (lossPct === 0 && !steps.some((step) => (step.lossPct ?? 0) > 0)) continue;
    const key = lossPct > 0 ? 'lossPct' : 'trace';
    throw new TierbedError(
      'invalid',
      `${link.name}.${direction}.${key} asks for losses: a stream cannot lose packets`,
      {
        fix: 'Run with --runtime docker and its netem or nfqueue driver, or leave lossPct out.',
      },
    );
  }
}

/**
 * Links as an in-process TCP proxy, in a thread of its own: no root, no container, no kernel module. Connections are
 * relayed on loopback; see docs/links.md for what that can and cannot show.
 */
export const proxyDriver: LinkDriver = {
  name: 'proxy',

  async open(links: readonly LinkSettings[], routes: readonly Route[]): Promise<OpenLinks> {
    for (const link of links) check(link);
    const names = links.map((link) => link.name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice) throw new TierbedError('invalid', `the link '${twice}' is set twice`);

    const worker = new ProxyWorker();
    const addresses = new Map<string, string>();
    const inForce = new Map(links.map((link) => [link.name, link]));
    let closing: Promise<void> | undefined;
    const open: OpenLinks = {
      driver: { name: 'proxy', why: 'these links join processes of one machine' },
      addresses,
      async addRoute(route) {
        validateRoute(route, names);
        if (addresses.has(route.name)) throw new TierbedError('invalid', `the route '${route.name}' is already there`);
        addresses.set(route.name, '');
        try {
          const address = await worker.call('addRoute', route);
          addresses.set(route.name, address);
          return address;
        } catch (error) {
          addresses.delete(route.name);
          throw error;
        }
      },
      async removeRoute(name) {
        if (!addresses.delete(name)) throw new TierbedError('missing', `no route named '${name}' is open`);
        await worker.call('removeRoute', name);
      },
      async set(link) {
        check(link);
        await worker.call('set', link);
        inForce.set(link.name, link);
      },
      inForce: async () => [...inForce.values()],
      probe: (via) => openRelayProbe(open, via),
      stats: () => worker.call('stats'),
      close: () => {
        closing ??= worker.close();
        return closing;
      },
    };
    try {
      await worker.call('open', links, JITTER_SEED);
      for (const route of routes) await open.addRoute(route);
      return open;
    } catch (error) {
      await open.close();
      throw error;
    }
  },
};
