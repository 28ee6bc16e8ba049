import { TierbedError } from '../../../base/errors.js';
import type { LinkName, LinkSettings, OpenLinks } from '../../link/types.js';
import type { EventSource } from './event-log.js';

/** What a link was, and when. */
export interface LinkPeriod {
  readonly settings: LinkSettings;
  /** From when the change to it was asked for... */
  readonly fromUnixMs: number;
  /** ...until the change to the next was in force: so the periods of one link overlap. Absent: it still is. */
  readonly toUnixMs?: number;
}

/** What a fault makes of a link, on top of what it is otherwise. */
export type LinkLayer = (settings: LinkSettings) => LinkSettings;

/** Told that a link is to be something else than the study sets (`name`), or that again (undefined). */
export type LinkListener = (link: LinkSettings, name: string | undefined, by: EventSource) => (() => void) | undefined;

interface Shaped {
  /** As the study sets it. */
  readonly original: LinkSettings;
  base: LinkSettings;
  layers: readonly LinkLayer[];
}

/**
 * The one place that changes links while a study runs. What a link is set to and what faults make of it are kept apart, so
 * that faults on one link compose, and each is undone without the others; and every change is remembered with its times.
 */
export class LinkLayers {
  readonly #links: Pick<OpenLinks, 'set'>;
  readonly #shaped: ReadonlyMap<LinkName, Shaped>;
  readonly #periods: { settings: LinkSettings; fromUnixMs: number; toUnixMs?: number }[] = [];
  readonly #onBase: LinkListener;
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param links what is open, as `original` says; @param onBase gives what is to be called when the change is in force */
  constructor(
    links: Pick<OpenLinks, 'set'>,
    original: readonly LinkSettings[],
    onBase: LinkListener = () => undefined,
  ) {
    this.#links = links;
    this.#shaped = new Map(original.map((link) => [link.name, { original: link, base: link, layers: [] }]));
    this.#onBase = onBase;
    const fromUnixMs = Date.now();
    for (const settings of original) this.#periods.push({ settings, fromUnixMs });
  }

  /** What each link is now. */
  inForce(): readonly LinkSettings[] {
    return [...this.#shaped.values()].map(effective);
  }

  /** All that the links were. */
  history(): readonly LinkPeriod[] {
    return this.#periods.map((period) => ({ ...period }));
  }

  /**
   * Changes what a link is below any faults on it.
   *
   * @param name what the results call it; undefined: it is as the study sets it again
   */
  change(link: LinkName, change: LinkLayer, name: string | undefined, by: EventSource): Promise<void> {
    return this.#exclusive(link, async (shaped) => {
      const before = shaped.base;
      const base = change(before);
      const done = this.#onBase(base, name, by);
      shaped.base = base;
      try {
        await this.#apply(shaped);
      } catch (error) {
        shaped.base = before;
        throw error;
      } finally {
        done?.();
      }
    });
  }

  /** Sets a whole link from outside the study, e.g. by a user: as `change`. */
  set(link: LinkSettings): Promise<void> {
    const original = this.#shaped.get(link.name)?.original;
    const same = original !== undefined && sameSettings(original, link);
    return this.change(link.name, () => link, same ? undefined : 'changed', 'hand');
  }

  /** Lays something over a link until what is given back is called. @throws what the driver throws; nothing is left then */
  async add(link: LinkName, layer: LinkLayer): Promise<() => Promise<void>> {
    await this.#exclusive(link, async (shaped) => {
      shaped.layers = [...shaped.layers, layer];
      try {
        await this.#apply(shaped);
      } catch (error) {
        shaped.layers = shaped.layers.filter((other) => other !== layer);
        throw error;
      }
    });
    return () =>
      this.#exclusive(link, async (shaped) => {
        shaped.layers = shaped.layers.filter((other) => other !== layer);
        await this.#apply(shaped);
      });
  }

  /** Every link as the study sets it, without layers. */
  async restore(): Promise<void> {
    for (const [name, { original, base, layers }] of this.#shaped) {
      if (layers.length === 0 && sameSettings(base, original)) continue;
      await this.#exclusive(name, async (shaped) => {
        shaped.layers = [];
      });
      await this.change(name, () => original, undefined, 'timeline');
    }
  }

  #exclusive(link: LinkName, work: (shaped: Shaped) => Promise<void>): Promise<void> {
    const shaped = this.#shaped.get(link);
    if (!shaped) {
      const names = [...this.#shaped.keys()].join(', ');
      return Promise.reject(
        new TierbedError('missing', `there is no link '${link}'`, { fix: `Use one of: ${names}.` }),
      );
    }
    const turn = this.#turn.then(() => work(shaped));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #apply(shaped: Shaped): Promise<void> {
    const settings = effective(shaped);
    const current = this.#periods.findLast((period) => period.settings.name === settings.name);
    if (current && sameSettings(current.settings, settings)) return;
    const period = { settings, fromUnixMs: Date.now() };
    // A change that fails halfway may be in force: it counts as having been possible.
    this.#periods.push(period);
    await this.#links.set(settings);
    if (current) current.toUnixMs = Date.now();
  }
}

function effective({ base, layers }: Shaped): LinkSettings {
  return layers.reduce((settings, layer) => layer(settings), base);
}

function sameSettings(a: LinkSettings, b: LinkSettings): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
