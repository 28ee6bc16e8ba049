import { nfqueueDriver } from './drivers/nfqueue.js';
import { proxyDriver } from './drivers/proxy.js';
import type { InterfaceDriver } from './interface-driver.js';
import type { LinkDriver } from './types.js';

/** Link drivers by name; a new one is one file in `drivers/` and one line here. */
export const LINK_DRIVERS: Readonly<Record<string, LinkDriver>> = {
  proxy: proxyDriver,
};

/** Drivers of interfaces, the best first. */
export const INTERFACE_DRIVERS: readonly InterfaceDriver[] = [nfqueueDriver];
