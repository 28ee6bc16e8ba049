import type { SampleRow } from '../../../analysis/columns.js';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { overriding } from '../../../base/overriding.js';
import type { LinkName, LinkSettings, OpenLinks } from '../../link/types.js';
import { FaultBoard } from '../faults/fault-board.js';
import type { ResultsFolder } from '../results/results-folder.js';
import type { Testbed } from '../runtimes/runtime.js';
import type { ResolvedStudy } from '../study/resolve.js';
import type { TierName } from '../tiers/tiers.js';
import { EventLog, type EventsFile, type MeasuredRun } from './event-log.js';
import { LinkLayers } from './link-layers.js';
import { MeasuringClock } from './measuring-clock.js';
import { TierChanges } from './tier-changes.js';
import { Timeline } from './timeline.js';

/** What a study or a user does to a testbed while it is measured, and the record of it in events.json. */
export class StudyEvents {
  readonly board: FaultBoard;
  /** The testbed as others are to see it: what they change of its links and tiers, or measure on it, is recorded too. */
  readonly testbed: Testbed;
  readonly log: EventLog;
  /** Told of each link that is set, whoever does it. */
  onLinkSet: (link: LinkSettings) => void = () => {};
  readonly #links: LinkLayers;
  readonly #tiers: TierChanges;
  readonly #clock = new MeasuringClock();
  readonly #timeline: Timeline;
  readonly #folder: ResultsFolder;
  #before: EventsFile;
  readonly #failing = new AbortController();
  #run: MeasuredRun | undefined;
  #ending = false;
  #missed: readonly number[] = [];
  /** One writing at a time. */
  #written: Promise<unknown> = Promise.resolve();

  private constructor(
    folder: ResultsFolder,
    study: ResolvedStudy,
    testbed: Testbed,
    before: EventsFile,
    redeploy: (tier: TierName) => Promise<void>,
  ) {
    this.#folder = folder;
    this.#before = before;
    this.log = new EventLog(() => this.#clock.nowMs());
    const changed = new Map<string, () => void>();
    const links = {
      set: async (link: LinkSettings) => {
        await testbed.links.set(link);
        this.onLinkSet(link);
      },
    };
    this.#links = new LinkLayers(links, study.links, (link, name, by) => {
      const over = changed.get(link.name);
      changed.delete(link.name);
      if (name !== undefined) changed.set(link.name, this.log.begin(`${link.name} ${name}`, 'link', link, by));
      return over;
    });
    const shaped = overriding(testbed, { links: this.#linksByHand(testbed.links) });
    // A node that nothing is asked of any more needs no deployments.
    const redeployed = async (tier: TierName): Promise<void> => (this.#ending ? undefined : redeploy(tier));
    const { seed } = study.file.study;
    this.board = new FaultBoard({ testbed: shaped, links: this.#links, seed, redeploy: redeployed }, this.log);
    const { log, board } = this;
    this.#tiers = new TierChanges({ tiers: testbed.tiers, log, board, redeploy: redeployed });
    this.testbed = overriding(shaped, { tiers: this.#tiers.control });
    this.board.onProblem = (problem) => this.#failing.abort(problem);
    this.#timeline = new Timeline(study.timeline, this.board, this.#links, this.#clock);
  }

  /**
   * Gets ready; nothing happens before `begin`.
   *
   * @param redeploy makes a node that was started again as it was before
   * @throws TierbedError when an event of the timeline cannot happen on this testbed
   */
  static async open(
    folder: ResultsFolder,
    study: ResolvedStudy,
    testbed: Testbed,
    redeploy: (tier: TierName) => Promise<void>,
  ): Promise<StudyEvents> {
    const day = new StudyEvents(folder, study, testbed, await readEvents(folder), redeploy);
    await day.#timeline.check();
    return day;
  }

  /** Aborts when something that is to happen, or to be undone, cannot; its reason is the TierbedError that says so. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#timeline.signal, this.#failing.signal]);
  }

  /** The names of what was in force at any moment of an interval (Unix ms). */
  during(fromUnixMs: number, toUnixMs: number): string {
    return this.log.during(fromUnixMs, toUnixMs);
  }

  /**
   * The first sample is about to run.
   *
   * @param last the last row of the run that is resumed
   */
  async begin(last: SampleRow | undefined): Promise<void> {
    const beforeMs = measuredMs(this.#before, last);
    this.#before = ended(this.#before, beforeMs);
    this.#clock.start(beforeMs);
    this.#run = { fromUnixMs: Date.now(), beforeMs };
    await this.#write();
    this.log.onChange = () => void this.#write().catch(() => {});
    await this.#timeline.start();
  }

  /** Measuring is over, or was stopped: undoes all that is in force. @throws what could not be undone */
  async end(): Promise<void> {
    this.#ending = true;
    if (this.#run) this.#run = { ...this.#run, untilMs: Math.round(this.#clock.nowMs()) };
    try {
      this.#missed = await this.#timeline.stop();
      await this.board.stopAll(true);
      await this.#tiers.restore();
      await this.#links.restore();
    } finally {
      this.log.onChange = () => {};
      if (this.#run) await this.#write();
    }
  }

  /** Links that others change and measure: both make samples other than normal. */
  #linksByHand(links: OpenLinks): OpenLinks {
    return overriding(links, {
      set: async (link: LinkSettings) => {
        if (this.#ending) {
          const message = `${link.name} cannot be changed any more: the samples are measured, and the links are proven again`;
          throw new TierbedError('refused', message, { fix: 'Wait until the study is over: tierbed study list' });
        }
        await this.#links.set(link);
      },
      probe: async (via: readonly LinkName[]) => {
        const over = this.log.begin(`${via.join(' + ')} measured`, 'link', { via }, 'hand');
        try {
          const probe = await links.probe(via);
          return overriding(probe, { close: () => probe.close().finally(() => over()) });
        } catch (error) {
          over(messageOf(error));
          throw error;
        }
      },
    });
  }

  #write(): Promise<void> {
    const { runs, events, links } = this.#before;
    const file: EventsFile = {
      runs: [...runs, ...(this.#run ? [this.#run] : [])],
      events: [...events, ...this.log.all()],
      links: [...links, ...this.#links.history()],
      missedAtS: this.#missed,
    };
    const writing = this.#written.then(() => this.#folder.writeJson('events', file));
    this.#written = writing.catch(() => {});
    return writing;
  }
}

const NONE: EventsFile = { runs: [], events: [], links: [], missedAtS: [] };

/** events.json; empty where there is none. */
export async function readEvents(folder: ResultsFolder): Promise<EventsFile> {
  return ((await folder.readJson('events')) as EventsFile | undefined) ?? NONE;
}

/** What had no end when a run was killed ended with it. */
function ended(before: EventsFile, measuredMs: number): EventsFile {
  const run = before.runs.at(-1);
  const toUnixMs = run ? run.fromUnixMs + measuredMs - run.beforeMs : 0;
  return {
    ...before,
    events: before.events.map((event) => ({ toUnixMs, ...event })),
    links: before.links.map((period) => ({ toUnixMs, ...period })),
  };
}

/** How long was measured so far: until the end of the last sample, or the last thing that happened. */
function measuredMs({ runs, events }: EventsFile, last: SampleRow | undefined): number {
  const run = runs.at(-1);
  if (!run) return 0;
  if (run.untilMs !== undefined) return run.untilMs;
  const times = [
    Number(last?.startedAtUnixMs ?? 0) + Number(last?.endToEndMs ?? 0),
    ...events.flatMap(({ fromUnixMs, toUnixMs }) => [fromUnixMs, toUnixMs ?? 0]),
  ];
  return run.beforeMs + Math.max(0, ...times.map((unixMs) => unixMs - run.fromUnixMs));
}
