import type { DirectionSettings, LinkTrace } from './types.js';

/** The least that a packet takes beside its payload: 14 bytes of Ethernet, 20 of IPv4, 20 of TCP without options... */
const LEAST_HEADER_BYTES = 54;
/** ...when it is as long as the Ethernet MTU allows. */
const LONGEST_SEGMENT_BYTES = 1460;
/** What one delivery of a mahimahi trace lets pass. */
const DELIVERY_BYTES = 1500;
/** Of the above, what is not counted there. */
const ETHERNET_BYTES = 14;

/** Sigmas by which a uniform distribution lies below its mean at most. */
const UNIFORM_REACH = Math.sqrt(3);

/**
 * The least that `bytes` of payload can take one way over links in series, in ms: below it, a measurement is impossible. It
 * errs on the low side where it has to: of jitter the smallest delay, of a trace the fastest that it ever is, of packets
 * the largest with the smallest headers, and of links in series the slowest alone.
 *
 * @param links the settings of that direction of each link, with several for one that changed: any of them may have held
 */
export function leastOneWayMs(links: readonly (readonly DirectionSettings[])[], bytes: number): number {
  let delayMs = 0;
  let slowestMs = 0;
  for (const alternatives of links) {
    delayMs += Math.min(...alternatives.map(leastDelayMs));
    slowestMs = Math.max(slowestMs, Math.min(...alternatives.map((settings) => leastPassageMs(settings, bytes))));
  }
  return delayMs + slowestMs;
}

/** The smallest delay that settings can give a packet. */
function leastDelayMs(settings: DirectionSettings): number {
  const steps = settings.trace?.kind === 'steps' ? settings.trace.steps : [];
  return Math.min(
    ...[settings, ...steps].map((step) => {
      const { delayMs, jitterMs } = { ...settings, ...step };
      if (jitterMs === 0) return delayMs;
      // A normal or Pareto distribution has no end that one could rely on.
      return settings.jitterDistribution === 'uniform' ? Math.max(0, delayMs - UNIFORM_REACH * jitterMs) : 0;
    }),
  );
}

/** The least that a payload takes through the limiter, delays left out. */
function leastPassageMs({ rateMbps, trace }: DirectionSettings, bytes: number): number {
  if (trace?.kind === 'deliveries') return leastDeliveryMs(trace, bytes);
  const rates = [rateMbps, ...(trace?.kind === 'steps' ? trace.steps.map((step) => step.rateMbps ?? rateMbps) : [])];
  if (rates.some((rate) => !rate)) return 0;
  return (leastWireBytes(bytes) * 8) / (Math.max(...(rates as number[])) * 1000);
}

function leastWireBytes(bytes: number): number {
  return bytes + LEAST_HEADER_BYTES * Math.max(1, Math.ceil(bytes / LONGEST_SEGMENT_BYTES));
}

/** The shortest time in which a trace has as many deliveries as a payload needs, wherever in it that is. */
function leastDeliveryMs({ atMs, lengthMs }: LinkTrace & { kind: 'deliveries' }, bytes: number): number {
  const packets = Math.max(1, Math.ceil(bytes / LONGEST_SEGMENT_BYTES));
  const needed = Math.ceil((leastWireBytes(bytes) - ETHERNET_BYTES * packets) / DELIVERY_BYTES);
  if (atMs.length === 0) return 0;
  const timeOf = (index: number): number =>
    (atMs[index % atMs.length] as number) + lengthMs * Math.floor(index / atMs.length);
  let least = Number.POSITIVE_INFINITY;
  for (let first = 0; first < atMs.length; first++) {
    least = Math.min(least, timeOf(first + needed - 1) - timeOf(first));
  }
  return least;
}
