import { messageOf } from '../../base/errors.js';
import { netemDriver } from './drivers/netem.js';
import { nfqueueDriver } from './drivers/nfqueue.js';
import { proxyDriver } from './drivers/proxy.js';
import type { InterfaceDriver } from './interface-driver.js';
import type { LinkDriver } from './types.js';

/** Drivers of whole links by name; a new one is one file in `drivers/` and one line here. */
export const LINK_DRIVERS: Readonly<Record<string, LinkDriver>> = {
  proxy: proxyDriver,
};

/** Drivers of interfaces, the best first; a new one is one file in `drivers/` and one line here. */
export const INTERFACE_DRIVERS: readonly InterfaceDriver[] = [netemDriver, nfqueueDriver];

/** Which driver of interfaces is taken, if any, and why. */
export interface DriverChoice {
  /** Undefined when none that was asked for works here. */
  readonly driver: InterfaceDriver | undefined;
  /** A sentence: why this one, and what is in the way of each that was tried before it. */
  readonly why: string;
}

/**
 * Takes the driver of this name, or with `auto` the first that works here.
 *
 * @param drivers in order of preference
 */
export async function chooseInterfaceDriver(
  name: string,
  drivers: readonly InterfaceDriver[] = INTERFACE_DRIVERS,
): Promise<DriverChoice> {
  const candidates = name === 'auto' ? drivers : drivers.filter((driver) => driver.name === name);
  if (candidates.length === 0) {
    const names = ['auto', ...drivers.map((driver) => driver.name)].join(', ');
    return { driver: undefined, why: `there is no interface driver '${name}'; there are ${names}` };
  }
  const against: string[] = [];
  for (const driver of candidates) {
    const lacking = await driver.unavailable().catch((error: unknown) => messageOf(error));
    if (lacking === undefined) return { driver, why: reason(name, driver, against) };
    against.push(`${driver.name}: ${lacking}`);
  }
  return { driver: undefined, why: `no interface driver works here; ${against.join('; ')}` };
}

function reason(name: string, driver: InterfaceDriver, against: readonly string[]): string {
  if (name !== 'auto') return `${driver.name}: it was asked for, and works here`;
  if (against.length === 0) return `${driver.name}: the best of the drivers, and it works here`;
  return `${driver.name}: the best that works here; not ${against.join('; not ')}`;
}
