import type { LinkAgentLinkStats } from '../../rpc/link-agent.js';
import { nowMs } from '../clock.js';
import type { InterfaceDriver, OpenInterface } from '../interface-driver.js';
import type { Direction, LinkName, LinkSettings } from '../types.js';
import { segmentsAtOnce } from './interfaces.js';
import { type AgentPlan, type DataInterface, shapedDirection } from './plan.js';

/** What the shaping does to its namespace. */
export interface ShapingHost {
  interfaceName(link: LinkName): string;
  /** Lets nothing pass on these links, and opens the others. */
  shut(links: ReadonlySet<LinkName>): Promise<void>;
  /** How many packets may leave by an interface as one. */
  segmentsAtOnce(link: LinkName, segments: number): Promise<void>;
}

/** The settings of one direction as this agent has put them in force. */
export interface DirectionInForce {
  readonly link: LinkName;
  readonly direction: Direction;
  readonly settings: LinkSettings;
  /** When they came into force, and their traces began, in ms of the host's monotonic clock. */
  readonly sinceMs: number;
}

/** What one agent does for the links: the directions that fall to it, each at an interface of its namespace. */
export interface Shaping {
  configure(links: readonly LinkSettings[]): Promise<void>;
  inForce(): readonly DirectionInForce[];
  stats(): Promise<readonly LinkAgentLinkStats[]>;
  close(): Promise<void>;
}

interface Shaped {
  readonly at: DataInterface;
  readonly direction: Direction;
  open: OpenInterface | undefined;
  settings: LinkSettings | undefined;
  sinceMs: number;
}

/** Packets shaped on their way by a driver of interfaces. A link stays shut until its settings are in force. */
export class PacketShaping implements Shaping {
  readonly #driver: InterfaceDriver;
  readonly #host: ShapingHost;
  readonly #shaped: readonly Shaped[];
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(plan: AgentPlan, driver: InterfaceDriver, host: ShapingHost) {
    this.#driver = driver;
    this.#host = host;
    this.#shaped = plan.data.map((at) => ({
      at,
      direction: shapedDirection(at, driver.side),
      open: undefined,
      settings: undefined,
      sinceMs: 0,
    }));
  }

  /** One after the other: the last that was asked for holds. */
  configure(links: readonly LinkSettings[]): Promise<void> {
    const done = this.#last.then(() => this.#configure(links));
    this.#last = done.catch(() => {});
    return done;
  }

  inForce(): readonly DirectionInForce[] {
    return this.#shaped.flatMap(({ at, direction, settings, sinceMs }) =>
      settings ? [{ link: at.link, direction, settings, sinceMs }] : [],
    );
  }

  async stats(): Promise<readonly LinkAgentLinkStats[]> {
    return Promise.all(
      this.#shaped.flatMap(({ at, direction, open }) =>
        open ? [open.stats().then((stats) => ({ link: at.link, direction, ...stats }))] : [],
      ),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    for (const shaped of this.#shaped) {
      shaped.settings = undefined;
      await shaped.open?.close();
      shaped.open = undefined;
      await this.#host.segmentsAtOnce(shaped.at.link, segmentsAtOnce(NOTHING)).catch(() => {});
    }
  }

  async #configure(links: readonly LinkSettings[]): Promise<void> {
    if (this.#closed) return;
    for (const shaped of this.#shaped) {
      const settings = links.find(({ name }) => name === shaped.at.link);
      if (settings && !same(settings, shaped.settings)) await this.#apply(shaped, settings);
    }
  }

  async #apply(shaped: Shaped, settings: LinkSettings): Promise<void> {
    const { at, direction } = shaped;
    await this.#host.segmentsAtOnce(at.link, segmentsAtOnce(settings[at.sends]));
    const before = shaped.settings?.[direction];
    const blockedBefore = shaped.settings?.blocked ?? false;
    // What the other agent shapes is no reason to begin this direction's trace anew.
    if (!shaped.open || !same(before, settings[direction]) || blockedBefore !== (settings.blocked ?? false)) {
      shaped.open ??= await this.#driver.open(this.#host.interfaceName(at.link), settings[direction]);
      await shaped.open.set(settings[direction], settings.blocked ?? false);
      shaped.sinceMs = nowMs();
    }
    shaped.settings = settings;
    const unset = this.#shaped.filter((other) => other.settings === undefined).map((other) => other.at.link);
    await this.#host.shut(new Set(unset));
  }
}

const NOTHING = { delayMs: 0, jitterMs: 0, queueBytes: 1514 };

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
