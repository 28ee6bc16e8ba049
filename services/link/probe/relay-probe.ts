import type { LinkName, OpenLinks } from '../types.js';
import type { LinkProbe } from './link-probe.js';
import { Probe } from './probe.js';

let opened = 0;

/** A probe over links that relay: both ends are here, and a temporary route leads from one to the other. */
export async function openRelayProbe(
  links: Pick<OpenLinks, 'addRoute' | 'removeRoute'>,
  via: readonly LinkName[],
): Promise<LinkProbe> {
  const probe = await Probe.open();
  const name = `probe ${++opened} over ${via.join(' + ')}`;
  try {
    const address = await links.addRoute({ name, via, target: probe.address });
    return {
      exchange: (task) => probe.run(address, task),
      packets: undefined,
      async close() {
        try {
          await links.removeRoute(name);
        } finally {
          await probe.close();
        }
      },
    };
  } catch (error) {
    await probe.close();
    throw error;
  }
}
