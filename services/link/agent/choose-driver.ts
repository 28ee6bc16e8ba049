import { TierbedError } from '../../../base/errors.js';
import { chooseInterfaceDriver } from '../index.js';
import type { InterfaceDriver } from '../interface-driver.js';

/** What an agent shapes with: a driver of interfaces, or the proxy, which needs none of the kernel. */
export interface AgentDriver {
  readonly name: string;
  /** Undefined: the proxy. */
  readonly driver: InterfaceDriver | undefined;
  /** A sentence: why this one, and what is in the way of each that was tried before it. */
  readonly why: string;
}

/**
 * Takes the driver that was asked for, or with `auto` the first in the table that the kernel can do, and the proxy as the
 * last resort.
 *
 * @throws TierbedError `usage` for a name that is none; `refused` when what was asked for cannot be done here
 */
export async function chooseDriver(drivers: readonly InterfaceDriver[], asked: string): Promise<AgentDriver> {
  if (asked === 'proxy') return { name: 'proxy', driver: undefined, why: 'proxy: it was asked for' };
  if (asked !== 'auto' && !drivers.some(({ name }) => name === asked)) {
    throw new TierbedError('usage', `there is no link driver '${asked}'`, {
      fix: `Use one of: auto, ${[...drivers.map(({ name }) => name), 'proxy'].join(', ')}.`,
    });
  }
  const { driver, why } = await chooseInterfaceDriver(asked, drivers);
  if (driver) return { name: driver.name, driver, why };
  if (asked === 'auto') return { name: 'proxy', driver: undefined, why: `proxy, the last resort: ${why}` };
  throw new TierbedError('refused', why, {
    fix: 'Use --driver auto (TIERBED_LINK_DRIVER=auto tierbed up), which takes the best that this kernel can do.',
  });
}
