import { Random } from '../../base/random.js';

const SEED = 20;

/**
 * The example traces of studies/traces/ by name. They are invented, not measured: the logarithm of the rate wanders about
 * its middle and is drawn back to it (an autoregressive process of order one), as rates of a moving device do.
 */
export function exampleTraces(): Readonly<Record<string, string>> {
  return { 'walking.csv': walking(), 'uplink.mahimahi': uplink() };
}

/** A minute of a walk: about 12 Mbit/s, a delay that grows when the rate falls, and a change of cell at 30 s. */
function walking(): string {
  const rates = wander(new Random(SEED).fork('walking'), 60, 12);
  const rows = rates.map((rate, second) => {
    const changing = second === 30 || second === 31;
    const rateMbps = changing ? 0.4 : rate;
    const delayMs = changing ? 180 : 20 + 120 / Math.max(rate, 4);
    return `${second},${rateMbps.toFixed(2)},${delayMs.toFixed(1)}`;
  });
  const head = [
    '# A device that walks through a cell and changes to another at 30 s. Invented, seeded: see test/support/example-traces.ts.',
    'time_s,rateMbps,delayMs',
  ];
  return `${[...head, ...rows, '60,,'].join('\n')}\n`;
}

/** Ten seconds of an uplink in mahimahi's format: about 3 Mbit/s, and nothing from 6.0 to 6.4 s. */
function uplink(): string {
  const random = new Random(SEED).fork('uplink');
  const times: number[] = [];
  for (const [tenth, rate] of wander(random.fork('rate'), 100, 3).entries()) {
    if (tenth >= 60 && tenth < 64) continue;
    const packets = Math.round((rate * 1e6 * 0.1) / (1500 * 8));
    times.push(...Array.from({ length: packets }, () => tenth * 100 + random.integer(100)).sort((a, b) => a - b));
  }
  const head = '# An uplink with an outage at 6 s. Invented, seeded: see test/support/example-traces.ts.';
  return `${[head, ...times, 10_000].join('\n')}\n`;
}

/** Rates that wander about a middle, within a fifth and five times of it. */
function wander(random: Random, steps: number, middleMbps: number): number[] {
  let log = 0;
  return Array.from({ length: steps }, () => {
    log = 0.9 * log + 0.25 * random.normal();
    return middleMbps * Math.min(5, Math.max(0.2, Math.exp(log)));
  });
}
