import type { LinkPeriod } from './link-layers.js';

/** Who made something happen: the study's timeline, or somebody while it ran. */
export type EventSource = 'timeline' | 'hand';

/** Something that was in force for a while and makes samples other than normal; an entry of events.json. */
export interface StudyEvent {
  /** What the column `fault` of the samples says, e.g. `node-kill edge`, `mobile-edge 3g`, `edge paused`. */
  readonly name: string;
  readonly kind: 'fault' | 'link' | 'tier';
  readonly by: EventSource;
  /** The fault's options, the link's settings, or what was asked of the tier. */
  readonly what: unknown;
  /** Seconds of measuring at which it began. */
  readonly atS: number;
  /** From when it was asked for until it was undone, deployments and all. */
  readonly fromUnixMs: number;
  readonly toUnixMs?: number;
  /** What went wrong with beginning or ending it. */
  readonly error?: string;
}

/** A time of measuring: from the first sample of a run, or of a resumed part of it. */
export interface MeasuredRun {
  readonly fromUnixMs: number;
  /** Measured before, in ms. */
  readonly beforeMs: number;
  /** What the clock of measuring showed at its end; absent when it had none, as of a run that was killed. */
  readonly untilMs?: number;
}

/** events.json. */
export interface EventsFile {
  readonly runs: readonly MeasuredRun[];
  readonly events: readonly StudyEvent[];
  /** What the links were, and when. */
  readonly links: readonly LinkPeriod[];
  /** Seconds of those events of the timeline that the study was over before. */
  readonly missedAtS: readonly number[];
}

type Growing = { -readonly [K in keyof StudyEvent]: StudyEvent[K] };

/** Events as they come, each with its times. */
export class EventLog {
  readonly #events: Growing[] = [];
  readonly #clockMs: () => number;
  /** Called after every change. */
  onChange: () => void = () => {};

  /** @param clockMs the measuring time; before it runs, 0 */
  constructor(clockMs: () => number) {
    this.#clockMs = clockMs;
  }

  /** Something comes into force; what is given back says that it is over. */
  begin(name: string, kind: StudyEvent['kind'], what: unknown, by: EventSource): (error?: string) => void {
    const atS = Math.round(this.#clockMs()) / 1000;
    const event: Growing = { name, kind, by, what, atS, fromUnixMs: Date.now() };
    this.#events.push(event);
    this.onChange();
    return (error) => {
      event.toUnixMs ??= Date.now();
      if (error !== undefined) event.error = error;
      this.onChange();
    };
  }

  all(): readonly StudyEvent[] {
    return this.#events.map((event) => ({ ...event }));
  }

  /** The names of what was in force at any moment of an interval (Unix ms), joined by ` + `; '' for nothing. */
  during(fromUnixMs: number, toUnixMs: number): string {
    const names = this.#events
      .filter((event) => event.fromUnixMs <= toUnixMs && (event.toUnixMs ?? Number.POSITIVE_INFINITY) >= fromUnixMs)
      .map((event) => event.name);
    return [...new Set(names)].join(' + ');
  }
}
