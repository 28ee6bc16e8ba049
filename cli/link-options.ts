import { TierbedError } from '../base/errors.js';
import { loadLinkPresets } from '../services/link/presets.js';
import type { LinkPatch } from '../services/orchestrator/server/api.js';
import { oneOf } from './names.js';
import { type NumberRule, numberOption } from './numbers.js';

/** What `tierbed link set` is given, as text. */
export interface LinkFlags {
  readonly direction?: string;
  readonly preset?: string;
  readonly rateMbps?: string;
  readonly delayMs?: string;
  readonly jitterMs?: string;
  readonly distribution?: string;
  readonly lossPct?: string;
  readonly lossBurst?: string;
  readonly queueBytes?: string;
}

const DISTRIBUTIONS = ['normal', 'uniform', 'pareto', 'paretonormal'] as const;

const RULES = {
  rateMbps: {
    ...{ low: 0.001, high: 100_000, unit: 'Mbit/s' },
    fix: 'Write --rate-mbps unlimited for a link without a limit, or take the link down: tierbed link down NAME.',
  },
  delayMs: { low: 0, high: 10_000, unit: 'ms', fix: 'A delay is at least 0.' },
  jitterMs: { low: 0, high: 10_000, unit: 'ms', fix: 'A jitter is at least 0.' },
  lossPct: { low: 0, high: 100, unit: 'per cent' },
  lossBurst: { low: 1, high: 1_000_000, unit: 'packets', fix: 'A burst is at least one packet.' },
  queueBytes: {
    low: 1514,
    high: 1024 ** 3,
    unit: 'bytes',
    whole: true,
    fix: 'A queue holds at least one packet, 1514.',
  },
} as const satisfies Readonly<Record<string, NumberRule>>;

/**
 * The patch that the options stand for, checked before anything is sent.
 *
 * @throws TierbedError `usage` naming the option, with the fix
 */
export function linkPatchOf(flags: LinkFlags): LinkPatch {
  const number = (key: keyof typeof RULES, option: string): number | undefined => {
    const text = flags[key];
    return text === undefined ? undefined : numberOption(option, text, RULES[key]);
  };
  const found = {
    preset: flags.preset === undefined ? undefined : oneOf('link preset', flags.preset, [...loadLinkPresets().keys()]),
    rateMbps: flags.rateMbps === 'unlimited' ? 0 : number('rateMbps', '--rate-mbps'),
    delayMs: number('delayMs', '--delay-ms'),
    jitterMs: number('jitterMs', '--jitter-ms'),
    jitterDistribution:
      flags.distribution === undefined ? undefined : oneOf('distribution', flags.distribution, DISTRIBUTIONS),
    lossPct: number('lossPct', '--loss-pct'),
    lossBurstPackets: number('lossBurst', '--loss-burst'),
    queueBytes: number('queueBytes', '--queue-bytes'),
  };
  const patch = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  if (Object.keys(patch).length === 0) {
    throw new TierbedError('usage', 'nothing to set is named', { fix: 'Name what to change, e.g. --rate-mbps 10.' });
  }
  return { direction: oneOf('direction', flags.direction ?? 'both', ['up', 'down', 'both'] as const), ...patch };
}
