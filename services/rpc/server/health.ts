import { TierbedError } from '../../../base/errors.js';
import { serveServerStream } from '../calls/serve-server-stream.js';
import { serveUnary } from '../calls/serve-unary.js';
import { codecsOf, loadProto } from '../protos.js';
import type { RpcService } from './service.js';

export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

const SERVICE = 'grpc.health.v1.Health';
const PROTO = 'health.proto';
const definition = loadProto(PROTO);
type Request = { readonly service: string };
type Response = { readonly status: ServingStatus };
export const checkMethod = codecsOf<Request, Response>(definition, SERVICE, 'Check');
export const watchMethod = codecsOf<Request, Response>(definition, SERVICE, 'Watch');

/** gRPC's health checking protocol (grpc/doc/health-checking.md): what each service's status is, and who watches it. */
export class Health {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #watchers = new Set<() => void>();
  #closed = false;

  readonly service: RpcService = {
    name: SERVICE,
    proto: PROTO,
    calls: [
      serveUnary(checkMethod, async ({ service }) => {
        const status = this.#statuses.get(service);
        if (!status) {
          throw new TierbedError('missing', `no service ${JSON.stringify(service)} here`, {
            fix: `ask for one of ${[...this.#statuses.keys()].map((name) => JSON.stringify(name)).join(', ')}`,
          });
        }
        return { status };
      }),
      serveServerStream(watchMethod, ({ service }, send, { signal }) => this.#watch(service, send, signal)),
    ],
  };

  /** `service` is a full name, or '' for the server as a whole. */
  set(service: string, status: ServingStatus): void {
    this.#statuses.set(service, status);
    for (const changed of this.#watchers) changed();
  }

  /** Everything stops serving, and watches end. */
  close(): void {
    this.#closed = true;
    for (const service of this.#statuses.keys()) this.set(service, 'NOT_SERVING');
  }

  #watch(service: string, send: (response: Response) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let last: ServingStatus | undefined;
      const end = () => {
        this.#watchers.delete(changed);
        resolve();
      };
      const changed = () => {
        const status = this.#statuses.get(service) ?? 'SERVICE_UNKNOWN';
        if (status !== last) send({ status });
        last = status;
        if (this.#closed) end();
      };
      this.#watchers.add(changed);
      signal.addEventListener('abort', end, { once: true });
      changed();
    });
  }
}
