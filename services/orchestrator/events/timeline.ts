import { messageOf, TierbedError } from '../../../base/errors.js';
import type { FaultBoard } from '../faults/fault-board.js';
import { checkFaultSpec, type FaultSpec } from '../faults/index.js';
import type { TimelineEvent } from '../study/timeline-entry.js';
import type { LinkLayers } from './link-layers.js';
import type { MeasuringClock } from './measuring-clock.js';

/** Makes the events of a study's timeline happen, on the clock of its measuring. */
export class Timeline {
  readonly #events: readonly TimelineEvent[];
  readonly #board: FaultBoard;
  readonly #links: LinkLayers;
  readonly #clock: MeasuringClock;
  readonly #failing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #next = 0;
  #stopped = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(events: readonly TimelineEvent[], board: FaultBoard, links: LinkLayers, clock: MeasuringClock) {
    this.#events = events;
    this.#board = board;
    this.#links = links;
    this.#clock = clock;
  }

  /** Aborts when an event could not be made to happen: its reason is the TierbedError that says so. */
  get signal(): AbortSignal {
    return this.#failing.signal;
  }

  /** Whether every event can happen on this testbed. @throws TierbedError naming the first that cannot */
  async check(): Promise<void> {
    for (const event of this.#events) {
      if (event.kind !== 'fault') continue;
      await this.#board.check(event.spec).catch((error: unknown) => {
        throw inTimeline(event, error);
      });
    }
  }

  /** Brings about what the events before the clock's time led to, and lets the others come. */
  async start(): Promise<void> {
    const nowS = this.#clock.nowMs() / 1000;
    for (; (this.#events[this.#next]?.atS ?? Number.POSITIVE_INFINITY) < nowS; this.#next++) {
      const event = this.#events[this.#next] as TimelineEvent;
      const still = event.kind === 'link' ? event : remaining(event, nowS);
      if (still) await this.#happen(still);
    }
    this.#arm();
  }

  /** No more events; those that are happening are waited for. Gives the times (s) of those that never came. */
  async stop(): Promise<readonly number[]> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#turn;
    return this.#events.slice(this.#next).map(({ atS }) => atS);
  }

  #arm(): void {
    const event = this.#events[this.#next];
    if (!event || this.#stopped) return;
    const waitMs = event.atS * 1000 - this.#clock.nowMs();
    this.#timer = setTimeout(
      () => {
        if (this.#clock.nowMs() < event.atS * 1000) return this.#arm();
        this.#next++;
        this.#turn = this.#turn.then(() => this.#happen(event)).catch((error: unknown) => this.#failing.abort(error));
        this.#arm();
      },
      Math.max(0, Math.min(waitMs, 2 ** 31 - 1)),
    );
  }

  async #happen(event: TimelineEvent): Promise<void> {
    try {
      if (event.kind === 'fault') await this.#board.start(event.spec, 'timeline');
      else await this.#links.change(event.link, event.change, event.name, 'timeline');
    } catch (error) {
      throw inTimeline(event, error);
    }
  }
}

/** What is left of a fault that began before; undefined when it is over. */
function remaining(
  { kind, atS, spec }: TimelineEvent & { kind: 'fault' },
  nowS: number,
): { kind: 'fault'; atS: number; spec: FaultSpec } | undefined {
  const lastsS = spec.forS ?? checkFaultSpec(spec).durationS?.(spec.options);
  if (lastsS === undefined) return { kind, atS, spec };
  const leftS = atS + lastsS - nowS;
  return leftS > 0 ? { kind, atS, spec: { ...spec, forS: leftS } } : undefined;
}

function inTimeline({ atS }: TimelineEvent, error: unknown): TierbedError {
  const kind = error instanceof TierbedError ? error.kind : 'internal';
  const fix = error instanceof TierbedError && error.fix !== undefined ? { fix: error.fix } : {};
  return new TierbedError(kind, `the timeline at ${atS} s: ${messageOf(error)}`, { ...fix, cause: error });
}
