import { TierbedError } from '../base/errors.js';
import { BOUNDS, MIN_RATE_MBPS } from '../services/link/bounds.js';
import { loadLinkPresets } from '../services/link/presets.js';
import { JITTER_DISTRIBUTIONS } from '../services/link/validate.js';
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

const RULES = {
  rateMbps: {
    ...{ low: MIN_RATE_MBPS, high: BOUNDS.rateMbps.high, unit: 'Mbit/s' },
    fix: 'Write --rate-mbps unlimited for a link without a limit, or take the link down: tierbed link down NAME.',
  },
  delayMs: { ...BOUNDS.delayMs, unit: 'ms', fix: 'A delay is at least 0.' },
  jitterMs: { ...BOUNDS.jitterMs, unit: 'ms', fix: 'A jitter is at least 0.' },
  lossPct: { ...BOUNDS.lossPct, unit: 'per cent' },
  lossBurst: { ...BOUNDS.lossBurstPackets, unit: 'packets', fix: 'A burst is at least one packet.' },
  queueBytes: {
    ...{ ...BOUNDS.queueBytes, unit: 'bytes', whole: true },
    fix: `A queue holds at least one packet, ${BOUNDS.queueBytes.low}.`,
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
      flags.distribution === undefined ? undefined : oneOf('distribution', flags.distribution, JITTER_DISTRIBUTIONS),
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
