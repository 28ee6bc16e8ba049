import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { SampleRow } from '../../analysis/columns.js';
import { readSamples } from '../../analysis/samples-csv.js';
import type { Summary } from '../../analysis/summary.js';
import { packageRoot } from '../../base/paths.js';
import type { ComposeTestbed } from './compose-testbed.js';

/** So far may a link be off on a machine that does other things beside. */
const PATIENT = { ms: 20, percent: 60 };

/** Writes studies/placements.yaml with other values for some of its keys. Gives the path. */
export async function writePlacements(folder: string, keys: Readonly<Record<string, unknown>>): Promise<string> {
  const text = await readFile(join(packageRoot, 'studies', 'placements.yaml'), 'utf8');
  const path = join(folder, 'study.yaml');
  await writeFile(path, stringify({ ...(parse(text) as object), linkTolerance: PATIENT, ...keys }));
  return path;
}

/** How a study stands, as `tierbed study show --json` tells. */
export interface StudyNow {
  readonly id: string;
  readonly state: string;
  readonly samples: { readonly recorded: number; readonly planned: number } | null;
  readonly error: { readonly message: string } | null;
}

/** A study that goes on by itself on a testbed's orchestrator. */
export class DetachedStudy {
  readonly id: string;
  readonly #testbed: ComposeTestbed;

  private constructor(testbed: ComposeTestbed, id: string) {
    this.#testbed = testbed;
    this.id = id;
  }

  static async start(testbed: ComposeTestbed, path: string): Promise<DetachedStudy> {
    const { id } = await testbed.json<StudyNow>('run', path, '--runtime', 'docker', '--detach', '--quiet');
    return new DetachedStudy(testbed, id);
  }

  /** @throws Error when the orchestrator does not answer */
  now(): Promise<StudyNow> {
    return this.#testbed.json<StudyNow>('study', 'show', this.id);
  }

  /** How many samples are recorded once they are `more` than `than`. @throws Error when the study ended before */
  async recordedMore(than: number, more: number, withinMs = 180_000): Promise<number> {
    let failed: StudyNow | undefined;
    const recorded = await this.#testbed.eventually(
      `sample ${than + more} of ${this.id}`,
      async () => {
        const now = await this.now();
        if (['failed', 'stopped', 'done'].includes(now.state)) failed = now;
        return (
          failed !== undefined ||
          (now.samples && now.samples.recorded >= than + more ? now.samples.recorded : undefined)
        );
      },
      withinMs,
    );
    if (typeof recorded === 'number') return recorded;
    throw new Error(`the study is ${failed?.state} at ${failed?.samples?.recorded}: ${failed?.error?.message}`);
  }

  /** The study when it is over. @throws Error when it does not end well */
  async done(withinMs = 300_000): Promise<StudyNow> {
    const end = await this.#testbed.eventually(
      `the end of ${this.id}`,
      async () => {
        const now = await this.now();
        return ['failed', 'stopped', 'done'].includes(now.state) && now;
      },
      withinMs,
    );
    if (end.state !== 'done') throw new Error(`the study is ${end.state}: ${end.error?.message}`);
    return end;
  }

  async results(folder: string): Promise<Results> {
    await this.#testbed.must('study', 'results', this.id, '--out', folder);
    return readResults(folder);
  }
}

/** What the tests look at of a results folder. */
export interface Results {
  readonly rows: readonly SampleRow[];
  readonly summary: Summary;
  readonly runs: readonly RunView[];
  readonly proofs: readonly {
    readonly when: string;
    readonly ok: boolean;
    readonly driver: { readonly name: string };
  }[];
}

interface RunView {
  readonly runtime: string;
  readonly tiers: readonly TierView[];
  readonly interruptions?: readonly { readonly what: string; readonly why: string; readonly tookMs: number | null }[];
}

interface TierView {
  readonly tier: string;
  readonly atBegin?: unknown;
  readonly calibration?: { readonly medianMs: number; readonly speed: number };
}

export async function readResults(folder: string): Promise<Results> {
  const rows: SampleRow[] = [];
  for await (const row of readSamples(join(folder, 'samples.csv'))) rows.push(row);
  const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, name), 'utf8'));
  const { runs } = (await json('environment.json')) as { runs: RunView[] };
  const { runs: proofs } = (await json('links.json')) as { runs: Results['proofs'] };
  return { rows, summary: (await json('summary.json')) as Summary, runs, proofs };
}

/** Says what is wrong with the samples' numbers: each planned one must be there exactly once. */
export function missingOrDouble(rows: readonly SampleRow[], planned: number): string[] {
  const counts = new Map<number, number>();
  for (const { sample } of rows) counts.set(Number(sample), (counts.get(Number(sample)) ?? 0) + 1);
  const wrong: string[] = [];
  for (let sample = 1; sample <= planned; sample++) {
    const count = counts.get(sample) ?? 0;
    if (count !== 1) wrong.push(`sample ${sample} has ${count} rows`);
  }
  if (rows.length !== planned) wrong.push(`${rows.length} rows, ${planned} planned`);
  return wrong;
}
