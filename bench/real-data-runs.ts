// What bench:real-data has found so far: a line of JSON for each (data set, operator, seed, side), added as it is found,
// so that a bench that was stopped goes on where it was.
import { createHash } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Step } from '../operators/variant.js';

export type Side = 'tierbed' | 'pytorch';

/** What a run is of; `key` is that of its recipe and its data, `recipeKey`. */
export interface RunId {
  readonly side: Side;
  readonly data: string;
  readonly operator: string;
  readonly seed: number;
  readonly key: string;
}

export interface Run extends RunId {
  readonly kind: 'accuracy';
  /** Percent of the evaluation items. */
  readonly accuracy: number;
  readonly items: number;
  /** Of the model's files; null where a side writes none. */
  readonly bytes: number | null;
  /** What it took to make and to evaluate. */
  readonly seconds: number;
  /** Of the model's files: the same model is evaluated once. */
  readonly models?: string;
}

export interface Timing extends RunId {
  readonly kind: 'latency';
  /** Medians of one item, of the variant and of the identity, run in turn. */
  readonly ms: number;
  readonly identityMs: number;
}

export type Line = Run | Timing;

/**
 * What a recipe is and what data it meets, as a short hash: of changed recipes there are other runs.
 *
 * @param data all that says what the items and the network are
 * @param steps of a seed that is the same for all, since seeds have lines of their own
 */
export function recipeKey(data: unknown, steps: readonly Step[]): string {
  return createHash('sha256')
    .update(JSON.stringify([data, steps]))
    .digest('hex')
    .slice(0, 12);
}

/** Lines of text as runs; what is no whole line, of a process that was killed amid it, is passed over. */
export function parseLines(text: string): Line[] {
  return text.split('\n').flatMap((line): Line[] => {
    try {
      return [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}

export async function readLines(path: string): Promise<Line[]> {
  return parseLines(await readFile(path, 'utf8').catch(() => ''));
}

export async function addLine(path: string, line: Line): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await appendFile(path, `${JSON.stringify(line)}\n`);
}

/** The last line of a kind that is of this run; undefined when it is still to be made. */
export function found<Kind extends Line['kind']>(
  lines: readonly Line[],
  kind: Kind,
  { side, data, operator, seed, key }: RunId,
): Extract<Line, { kind: Kind }> | undefined {
  return lines.findLast(
    (line): line is Extract<Line, { kind: Kind }> =>
      line.kind === kind &&
      line.side === side &&
      line.data === data &&
      line.operator === operator &&
      line.seed === seed &&
      line.key === key,
  );
}
