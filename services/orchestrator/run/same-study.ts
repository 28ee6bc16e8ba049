import { TierbedError } from '../../../base/errors.js';

/**
 * Checks that what is to be resumed is what was begun.
 *
 * @throws TierbedError `refused` naming the first keys that differ, with both values
 */
export function assertSame(begun: unknown, now: unknown, what: string): void {
  const differences = [...compare(begun, now, '')];
  if (differences.length === 0) return;
  const shown = differences.slice(0, 5).join('; ');
  const more = differences.length > 5 ? `; and ${differences.length - 5} more` : '';
  throw new TierbedError('refused', `${what} is not the same as when the run began: ${shown}${more}`, {
    fix: 'Resume with the study as it was, or start a new run.',
  });
}

function* compare(begun: unknown, now: unknown, path: string): Generator<string> {
  if (isMap(begun) && isMap(now)) {
    for (const key of new Set([...Object.keys(begun), ...Object.keys(now)])) {
      yield* compare(begun[key], now[key], path ? `${path}.${key}` : key);
    }
  } else if (JSON.stringify(begun) !== JSON.stringify(now)) {
    yield `${path} was ${show(begun)} and is ${show(now)}`;
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = value === undefined ? 'not set' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
