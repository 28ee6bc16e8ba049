import { messageOf, TierbedError } from '../../../base/errors.js';
import type { InterfaceDriver } from '../interface-driver.js';

/** The driver that was taken, or the proxy, which needs none of the kernel; and why. */
export interface DriverChoice {
  readonly name: string;
  /** Undefined: the proxy. */
  readonly driver: InterfaceDriver | undefined;
  readonly why: string;
  /** Those that were not taken, and why not. */
  readonly others: readonly { readonly name: string; readonly why: string }[];
}

/**
 * Takes the driver that was asked for, or with `auto` the first in the table that the kernel can do; the proxy is the last
 * resort.
 *
 * @throws TierbedError `usage` for a name that is none; `refused` when what was asked for cannot be done here
 */
export async function chooseDriver(drivers: readonly InterfaceDriver[], asked: string): Promise<DriverChoice> {
  if (asked === 'proxy') {
    return { name: 'proxy', driver: undefined, why: 'asked for', others: drivers.map(notAsked) };
  }
  const wanted = drivers.find(({ name }) => name === asked);
  if (asked !== 'auto' && !wanted) {
    throw new TierbedError('usage', `there is no link driver '${asked}'`, {
      fix: `Use one of: auto, ${[...drivers.map(({ name }) => name), 'proxy'].join(', ')}.`,
    });
  }
  if (wanted) {
    const why = await unavailable(wanted);
    if (why !== undefined) {
      throw new TierbedError('refused', `the link driver ${wanted.name} does not work here: ${why}`, {
        fix: 'Use --driver auto, which takes the best that this kernel can do.',
      });
    }
    const others = [...drivers.filter((driver) => driver !== wanted).map(notAsked), notAsked({ name: 'proxy' })];
    return { name: wanted.name, driver: wanted, why: 'asked for', others };
  }
  const others: { name: string; why: string }[] = [];
  for (const [i, driver] of drivers.entries()) {
    const why = await unavailable(driver);
    if (why === undefined) {
      const rest = [...drivers.slice(i + 1).map(({ name }) => name), 'proxy'];
      return {
        name: driver.name,
        driver,
        why: 'the best that this kernel can do',
        others: [...others, ...rest.map((name) => ({ name, why: `${driver.name} is better and works` }))],
      };
    }
    others.push({ name: driver.name, why });
  }
  return { name: 'proxy', driver: undefined, why: 'this kernel can do nothing better', others };
}

function notAsked({ name }: { readonly name: string }): { name: string; why: string } {
  return { name, why: 'not asked for' };
}

async function unavailable(driver: InterfaceDriver): Promise<string | undefined> {
  try {
    return await driver.unavailable();
  } catch (error) {
    return messageOf(error);
  }
}
