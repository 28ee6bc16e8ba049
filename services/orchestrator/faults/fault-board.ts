import { messageOf, TierbedError } from '../../../base/errors.js';
import type { EventLog, EventSource } from '../events/event-log.js';
import type { Fault, FaultContext, FaultOptions } from './fault.js';
import { checkFaultSpec, type FaultSpec } from './index.js';

/** setTimeout's longest. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A fault in force. Times are ISO 8601. */
export interface ActiveFault {
  readonly id: string;
  readonly fault: string;
  readonly options: FaultOptions;
  readonly startedAt: string;
  /** Absent: when it is stopped. */
  readonly endsAt?: string;
}

/** A fault that is or was in force. */
export interface PastFault extends ActiveFault {
  /** Absent: it still is. */
  readonly endedAt?: string;
  /** What went wrong with undoing it. */
  readonly error?: string;
}

/** Something beside faults that a fault must not get in the way of. */
interface Hold {
  readonly name: string;
  readonly claims: readonly string[];
  readonly fix: string;
}

interface Entry {
  readonly active: ActiveFault;
  readonly name: string;
  readonly claims: readonly string[];
  readonly undo: () => Promise<void>;
  readonly over: (error?: string) => void;
  timer: NodeJS.Timeout | undefined;
  ending: Promise<void> | undefined;
}

/** The faults of one testbed: which are in force, which were, and the way to start and stop them. */
export class FaultBoard {
  readonly #context: FaultContext;
  readonly #log: EventLog;
  readonly #entries = new Map<string, Entry>();
  /** Claims of faults that are being started. */
  readonly #starting = new Map<readonly string[], string>();
  /** Resolve when they are in force, or not. */
  readonly #beginnings = new Set<Promise<unknown>>();
  readonly #holds = new Set<Hold>();
  readonly #past: (PastFault & { endedAt?: string; error?: string })[] = [];
  #count = 0;
  #closed = false;
  /** Told when a fault whose time was over could not be undone. */
  onProblem: (error: TierbedError) => void = () => {};

  constructor(context: FaultContext, log: EventLog) {
    this.#context = context;
    this.#log = log;
  }

  /** Whether a fault could be started here, leaving aside which others are in force. @throws as `start` */
  async check(spec: FaultSpec): Promise<void> {
    await checkFaultSpec(spec).check?.(this.#context, spec.options);
  }

  /**
   * Puts a fault in force.
   *
   * @throws TierbedError `missing` or `invalid` for a fault or options that there are not; `refused` when another one is in
   *   its way or the testbed cannot do it; whatever the doing of it throws. Nothing is left then
   */
  start(spec: FaultSpec, by: EventSource = 'hand'): Promise<ActiveFault> {
    const beginning = this.#start(spec, by);
    const settled = beginning.then(
      () => {},
      () => {},
    );
    this.#beginnings.add(settled);
    void settled.then(() => this.#beginnings.delete(settled));
    return beginning;
  }

  async #start(spec: FaultSpec, by: EventSource): Promise<ActiveFault> {
    const fault = checkFaultSpec(spec);
    const { options } = spec;
    const name = `${fault.name} ${fault.target(options)}`;
    const claims = fault.claims(options);
    this.#makeWay(name, claims);
    this.#starting.set(claims, name);
    let undo: () => Promise<void>;
    let over: (error?: string) => void;
    try {
      await fault.check?.(this.#context, options);
      over = this.#log.begin(name, 'fault', { fault: fault.name, ...options }, by);
      undo = await fault.start(this.#context, options).catch((error: unknown) => {
        over(`it could not be started: ${messageOf(error)}`);
        throw error;
      });
    } finally {
      this.#starting.delete(claims);
    }
    return this.#enter(fault, spec, name, claims, undo, over);
  }

  #enter(
    fault: Fault,
    { options, forS }: FaultSpec,
    name: string,
    claims: readonly string[],
    undo: () => Promise<void>,
    over: (error?: string) => void,
  ): ActiveFault {
    const lastsS = forS ?? fault.durationS?.(options);
    const now = Date.now();
    const active: ActiveFault = {
      id: `f${++this.#count}`,
      fault: fault.name,
      options,
      startedAt: new Date(now).toISOString(),
      ...(lastsS === undefined ? {} : { endsAt: new Date(now + lastsS * 1000).toISOString() }),
    };
    const entry: Entry = { active, name, claims, undo, over, timer: undefined, ending: undefined };
    this.#entries.set(active.id, entry);
    this.#past.push({ ...active });
    if (lastsS !== undefined) {
      const end = (): void => {
        this.stop(active.id).catch((error: unknown) => {
          const problem = error instanceof TierbedError ? error : new TierbedError('internal', messageOf(error));
          this.onProblem(problem);
        });
      };
      entry.timer = setTimeout(end, Math.min(lastsS * 1000, MAX_TIMER_MS));
    }
    return active;
  }

  /**
   * Keeps faults away from what somebody else changed, until what is given back is called. What is held already does not
   * matter: only faults are in the way.
   *
   * @param fix what to do when a fault is refused for it
   * @throws TierbedError `refused` when a fault is in force there, or all is over
   */
  hold(name: string, claims: readonly string[], fix: string): () => void {
    this.#assertFree(name, claims, this.#inForce());
    const hold = { name, claims, fix };
    this.#holds.add(hold);
    return () => this.#holds.delete(hold);
  }

  #makeWay(name: string, claims: readonly string[]): void {
    this.#assertFree(name, claims, [...this.#inForce(), ...this.#holds]);
  }

  /** Faults, and those that are about to be. */
  #inForce(): Hold[] {
    return [
      ...[...this.#entries.values()].map(({ name, claims, active }) => ({
        name,
        claims,
        fix: `Stop ${active.id} first.`,
      })),
      ...[...this.#starting].map(([claims, name]) => ({ name, claims, fix: 'Wait until it is, and stop it first.' })),
    ];
  }

  #assertFree(name: string, claims: readonly string[], held: readonly Hold[]): void {
    if (this.#closed) throw overError(name);
    const other = held.find((entry) => entry.claims.some((theirs) => claims.some((mine) => overlap(theirs, mine))));
    if (!other) return;
    throw new TierbedError('refused', `${name} is not possible while ${other.name} is in force`, { fix: other.fix });
  }

  /**
   * Undoes a fault; one that is over is left alone.
   *
   * @throws TierbedError `missing` for an id that there never was; what undoing it throws
   */
  stop(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry) {
      entry.ending ??= this.#undo(id, entry);
      return entry.ending;
    }
    if (this.#past.some((past) => past.id === id)) return Promise.resolve();
    const ids = [...this.#entries.keys()];
    const fix = ids.length > 0 ? `In force: ${ids.join(', ')}.` : 'None is in force.';
    return Promise.reject(new TierbedError('missing', `there is no fault ${id}`, { fix }));
  }

  async #undo(id: string, { undo, over, timer, name }: Entry): Promise<void> {
    clearTimeout(timer);
    let problem: string | undefined;
    try {
      await undo();
    } catch (error) {
      problem = messageOf(error);
      const fix = error instanceof TierbedError && error.fix !== undefined ? { fix: error.fix } : {};
      const kind = error instanceof TierbedError ? error.kind : 'internal';
      throw new TierbedError(kind, `${name} could not be undone: ${problem}`, { ...fix, cause: error });
    } finally {
      this.#entries.delete(id);
      const past = this.#past.find((candidate) => candidate.id === id);
      if (past) {
        past.endedAt = new Date().toISOString();
        if (problem !== undefined) past.error = problem;
      }
      over(problem);
    }
  }

  /** Undoes all of them, the last one first; takes no more when `forGood`. @throws what undoing the first to fail throws */
  async stopAll(forGood = false): Promise<void> {
    this.#closed ||= forGood;
    // One that is on its way would come into force behind this.
    await Promise.all(this.#beginnings);
    let failure: unknown;
    for (const id of [...this.#entries.keys()].reverse()) {
      await this.stop(id).catch((error: unknown) => {
        failure ??= error;
      });
    }
    if (failure) throw failure;
  }

  active(): readonly ActiveFault[] {
    return [...this.#entries.values()].map(({ active }) => active);
  }

  /** All that are or were in force, in the order in which they began. */
  history(): readonly PastFault[] {
    return this.#past.map((past) => ({ ...past }));
  }
}

function overError(name: string): TierbedError {
  return new TierbedError(
    'refused',
    `${name} is not possible any more: the samples are measured, and all is put back`,
    {
      fix: 'Wait until the study is over: tierbed study list',
    },
  );
}

/** Whether one path is the other, or lies above it. */
function overlap(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}
