import type { InterfaceDriver } from '../interface-driver.js';
import { whyUnavailable } from '../netem/available.js';
import { Chain } from '../netem/chain.js';
import { ShapedInterface } from '../netem/shaped-interface.js';
import { validateDirection } from '../validate.js';

/** Links as Linux's own traffic control shapes them: see docs/links.md for the chain and what it can show. */
export const netemDriver: InterfaceDriver = {
  name: 'netem',
  side: 'egress',
  unavailable: whyUnavailable,

  async open(interfaceName, settings) {
    validateDirection(interfaceName, settings);
    const chain = await Chain.open(interfaceName, settings);
    try {
      const shaped = new ShapedInterface(interfaceName, chain, await chain.counts());
      if (settings.trace) await shaped.set(settings);
      return shaped;
    } catch (error) {
      await chain.close().catch(() => {});
      throw error;
    }
  },
};
