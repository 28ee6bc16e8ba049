import { InvalidArgumentError } from 'commander';

/** Parses a TCP port; 0 asks for a free one. */
export function portOption(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new InvalidArgumentError('give a port from 1 to 65535, or 0 for a free one.');
  }
  return Number(text);
}
