import type { LinkName, LinkSettings, Route } from '../types.js';

/** What the driver asks of its worker, by name: arguments and result. */
export interface ProxyCalls {
  open(links: readonly LinkSettings[], seed: number): void;
  addRoute(route: Route): string;
  removeRoute(name: string): void;
  set(link: LinkSettings): void;
  stats(): ReadonlyMap<LinkName, { readonly upBytes: number; readonly downBytes: number }>;
  close(): void;
}

export interface ProxyRequest {
  readonly id: number;
  readonly method: keyof ProxyCalls;
  readonly args: readonly unknown[];
}

export type ProxyAnswer =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly kind: string;
      readonly message: string;
      readonly fix: string | undefined;
    };
