import { TierbedError } from '../base/errors.js';

export interface NumberRule {
  readonly low: number;
  readonly high: number;
  readonly unit: string;
  readonly whole?: boolean;
  /** What to do instead of giving a number below `low`. */
  readonly fix?: string;
}

/** A number that an option was given. @throws TierbedError `usage` naming the option and what it takes */
export function numberOption(option: string, text: string, { low, high, unit, whole, fix }: NumberRule): number {
  const value = Number(text);
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value);
  if (isNumber && value >= low && value <= high && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new TierbedError('usage', `${option} ${text}: not ${kind} from ${low} to ${high} ${unit}`, {
    fix: isNumber && value < low && fix !== undefined ? fix : `Give ${unit} in that range.`,
  });
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600 };

/** Seconds of `500ms`, `10s`, `2min`, `1h` or a plain number of seconds. @throws TierbedError `usage` */
export function secondsOption(option: string, text: string): number {
  const [, number, unit = 's'] = /^(\d+\.?\d*|\.\d+) *(ms|s|min|m|h)?$/.exec(text) ?? [];
  const seconds = Number(number) * (UNIT_SECONDS[unit] ?? Number.NaN);
  if (number !== undefined && seconds > 0) return seconds;
  throw new TierbedError('usage', `${option} ${text}: not a time`, { fix: 'Write it as 10s, 500ms or 2min.' });
}
