import type { LinkName, LinkSettings, Route } from '../types.js';
import type { WorkerCall } from '../worker-call.js';

/** What the driver asks of its worker, by name: arguments and result. */
export interface ProxyCalls {
  open(links: readonly LinkSettings[], seed: number): void;
  addRoute(route: Route): string;
  removeRoute(name: string): void;
  set(link: LinkSettings): void;
  stats(): ReadonlyMap<LinkName, { readonly upBytes: number; readonly downBytes: number }>;
  close(): void;
}

export type ProxyRequest = WorkerCall<keyof ProxyCalls>;
