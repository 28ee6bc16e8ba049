import { TierbedError } from '../../base/errors.js';
import type { DirectionSettings, LinkName, LinkSettings, Route } from './types.js';
import { PACKET_BYTES } from './wire.js';

/** Far beyond any link on Earth; a value above it is a wrong unit. */
const MAX_DELAY_MS = 10_000;
const MAX_RATE_MBPS = 100_000;
const MAX_QUEUE_BYTES = 1024 ** 3;

const LINK_NAMES: readonly LinkName[] = ['mobile-edge', 'edge-cloud'];

/**
 * Checks the settings of one link.
 *
 * @throws TierbedError `invalid` naming the key, e.g. `mobile-edge.up.delayMs`
 */
export function validateLinkSettings(link: LinkSettings): void {
  if (!LINK_NAMES.includes(link.name)) {
    throw new TierbedError('invalid', `no link can be named '${link.name}'`, { fix: `use ${LINK_NAMES.join(' or ')}` });
  }
  for (const direction of ['up', 'down'] as const) validateDirection(`${link.name}.${direction}`, link[direction]);
}

/**
 * Checks the settings of one direction.
 *
 * @param where what the settings belong to, for the message
 * @throws TierbedError `invalid` naming the key
 */
export function validateDirection(where: string, settings: DirectionSettings): void {
  const refuse = (key: keyof DirectionSettings, what: string, fix: string): never => {
    throw new TierbedError('invalid', `${where}.${key} is ${settings[key]}: ${what}`, { fix });
  };
  const within = (key: keyof DirectionSettings, low: number, high: number, unit: string) => {
    const value = settings[key];
    if (typeof value !== 'number' || !(value >= low && value <= high)) {
      refuse(key, `not a number from ${low} to ${high} ${unit}`, `give ${unit} in that range`);
    }
  };
  if (settings.rateMbps !== undefined) within('rateMbps', 0, MAX_RATE_MBPS, 'Mbit/s');
  if (settings.rateMbps && settings.rateMbps < 0.001) {
    refuse('rateMbps', 'below 0.001 Mbit/s nothing would pass', 'give at least 0.001, or 0 for no limit');
  }
  within('delayMs', 0, MAX_DELAY_MS, 'ms');
  within('jitterMs', 0, MAX_DELAY_MS, 'ms');
  within('queueBytes', 0, MAX_QUEUE_BYTES, 'bytes');
  if (settings.queueBytes < PACKET_BYTES) {
    refuse('queueBytes', `a queue must hold one packet of ${PACKET_BYTES} bytes`, `give at least ${PACKET_BYTES}`);
  }
}

/**
 * Checks a route against the links that are open.
 *
 * @throws TierbedError `invalid` naming the route
 */
export function validateRoute(route: Route, open: readonly LinkName[]): void {
  if (route.via.length === 0) throw new TierbedError('invalid', `route '${route.name}' crosses no link`);
  for (const [i, name] of route.via.entries()) {
    if (!open.includes(name)) {
      throw new TierbedError('invalid', `route '${route.name}' crosses the link '${name}', which is not set`, {
        fix: `set it, or use ${open.join(', ') || 'other links'}`,
      });
    }
    if (route.via.indexOf(name) !== i) {
      throw new TierbedError('invalid', `route '${route.name}' crosses the link '${name}' twice`);
    }
  }
}
