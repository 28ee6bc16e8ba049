import { BOUNDS } from './bounds.js';
import { JITTER_DISTRIBUTIONS } from './validate.js';

function within(key: keyof typeof BOUNDS, type = 'number'): object {
  const { low, high } = BOUNDS[key];
  return { type, minimum: low, maximum: high };
}

/** JSON Schemas of a direction's settings, by name: for studies, their timelines and the API alike. A trace is not among them. */
export const directionProperties = {
  rateMbps: { ...within('rateMbps'), description: '10^6 bit/s on the wire; 0: not limited' },
  delayMs: { ...within('delayMs'), description: 'one way' },
  jitterMs: { ...within('jitterMs'), description: 'standard deviation of the delay' },
  jitterDistribution: { enum: JITTER_DISTRIBUTIONS },
  lossPct: within('lossPct'),
  lossBurstPackets: { ...within('lossBurstPackets'), description: 'mean number of packets lost in a row' },
  queueBytes: within('queueBytes', 'integer'),
};
