import { TierbedError } from '../../../base/errors.js';
import { directionProperties } from '../../link/schema.js';
import type { Direction, LinkName, LinkSettings } from '../../link/types.js';
import { directionOption, type Fault, type FaultOptions, linkOption, optionsSchema } from './fault.js';

export const lossBurst: Fault = {
  name: 'loss-burst',
  help: 'A link loses packets, several in a row.',
  options: optionsSchema(
    {
      link: linkOption,
      direction: directionOption,
      lossPct: { type: 'number', exclusiveMinimum: 0, maximum: 100 },
      burstPackets: directionProperties.lossBurstPackets,
    },
    ['link', 'lossPct'],
  ),
  target: ({ link, direction }) => (isOneWay(direction) ? `${link} ${direction}` : String(link)),
  claims: ({ link, direction }) =>
    isOneWay(direction) ? [`link/${link}/loss/${direction}`] : [`link/${link}/loss/up`, `link/${link}/loss/down`],
  async check({ testbed }) {
    const { driver }: { readonly driver?: { readonly name: string } } = testbed.links as object;
    if (driver?.name !== 'proxy') return;
    throw new TierbedError('refused', 'the links of this testbed are relayed as streams, which cannot lose packets', {
      fix: 'Use --runtime docker.',
    });
  },
  start: ({ links }, options) => links.add(options.link as LinkName, (settings) => lossy(settings, options)),
};

function isOneWay(direction: unknown): boolean {
  return direction === 'up' || direction === 'down';
}

function lossy(settings: LinkSettings, { direction, lossPct, burstPackets }: FaultOptions): LinkSettings {
  const lossOf = (way: Direction) => {
    if (isOneWay(direction) && direction !== way) return settings[way];
    const before = settings[way].lossPct ?? 0;
    // What the link loses by itself it loses still: one is independent of the other.
    const both = 100 - ((100 - before) * (100 - (lossPct as number))) / 100;
    return { ...settings[way], lossPct: both, ...(burstPackets ? { lossBurstPackets: burstPackets as number } : {}) };
  };
  return { ...settings, up: lossOf('up'), down: lossOf('down') };
}
