import { TierbedError } from '../../base/errors.js';
import { BOUNDS, MIN_RATE_MBPS } from './bounds.js';
import type { DirectionSettings, JitterDistribution, LinkName, LinkSettings, LinkTrace, Route } from './types.js';

/** A day; and as many steps or deliveries as fit into a message to a link agent. */
const MAX_TRACE_MS = 24 * 60 * 60 * 1000;
export const MAX_TRACE_ENTRIES = 500_000;

export const JITTER_DISTRIBUTIONS: readonly JitterDistribution[] = ['normal', 'uniform', 'pareto', 'paretonormal'];

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
  const within = (key: keyof typeof BOUNDS, unit: string) => {
    const { low, high } = BOUNDS[key];
    const value = settings[key];
    if (typeof value !== 'number' || !(value >= low && value <= high)) {
      refuse(key, `not a number from ${low} to ${high} ${unit}`, `give ${unit} in that range`);
    }
  };
  if (settings.rateMbps !== undefined) within('rateMbps', 'Mbit/s');
  if (settings.rateMbps && settings.rateMbps < MIN_RATE_MBPS) {
    const fix = `give at least ${MIN_RATE_MBPS}, or 0 for no limit`;
    refuse('rateMbps', `below ${MIN_RATE_MBPS} Mbit/s nothing would pass`, fix);
  }
  within('delayMs', 'ms');
  within('jitterMs', 'ms');
  within('queueBytes', 'bytes');
  const { jitterDistribution, trace } = settings;
  if (jitterDistribution !== undefined && !JITTER_DISTRIBUTIONS.includes(jitterDistribution)) {
    refuse('jitterDistribution', 'not known', `use ${JITTER_DISTRIBUTIONS.join(', ')}`);
  }
  if (settings.lossPct !== undefined) within('lossPct', 'per cent');
  if (settings.lossBurstPackets !== undefined) within('lossBurstPackets', 'packets');
  if (trace !== undefined) validateTrace(`${where}.trace`, settings, trace);
}

/** Times ascend and lie within the trace's length, and each step is one that could be set by itself. */
function validateTrace(where: string, { trace: _, ...around }: DirectionSettings, trace: LinkTrace): void {
  const refuse = (what: string, fix: string): never => {
    throw new TierbedError('invalid', `${where} ${what}`, { fix });
  };
  if (trace.kind !== 'steps' && trace.kind !== 'deliveries') {
    refuse('is neither steps nor deliveries', 'give a trace that was read from a file');
  }
  const { lengthMs } = trace;
  if (!(lengthMs > 0 && lengthMs <= MAX_TRACE_MS)) {
    refuse(`lasts ${lengthMs} ms`, `give a trace that lasts from 1 to ${MAX_TRACE_MS} ms`);
  }
  const times = trace.kind === 'steps' ? trace.steps.map(({ atMs }) => atMs) : trace.atMs;
  if (times.length === 0 || times.length > MAX_TRACE_ENTRIES) {
    refuse(`has ${times.length} entries`, `give from 1 to ${MAX_TRACE_ENTRIES}`);
  }
  for (const [i, atMs] of times.entries()) {
    const previous = i === 0 ? 0 : (times[i - 1] as number);
    const repeats = trace.kind === 'steps' && i > 0 && atMs === previous;
    if (!(atMs >= previous && atMs <= lengthMs) || repeats) {
      refuse(`has the time ${atMs} ms after ${previous} ms, and lasts ${lengthMs} ms`, 'put its times in order');
    }
  }
  if (trace.kind === 'deliveries') return;
  for (const { atMs, ...own } of trace.steps) {
    if (own.rateMbps === 0) {
      refuse(`has the rate 0 at ${atMs} ms, which would mean no limit`, 'use lossPct 100 where nothing is to pass');
    }
    validateDirection(`${where} at ${atMs} ms`, { ...around, ...own });
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
