import { InvalidArgumentError } from 'commander';

/** Parses `--dim SYMBOL=SIZE`, given once for each symbol; the symbol itself may hold an `=`. */
export function dimOption(text: string, soFar: Record<string, number> = {}): Record<string, number> {
  const at = text.lastIndexOf('=');
  const size = Number(text.slice(at + 1));
  if (at < 1 || !Number.isSafeInteger(size) || size < 1) {
    throw new InvalidArgumentError('give a symbol and a whole number from 1, as in sequence=128.');
  }
  return { ...soFar, [text.slice(0, at)]: size };
}
