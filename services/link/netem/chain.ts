import { TierbedError } from '../../../base/errors.js';
import type { DirectionSettings } from '../types.js';
import { type Devices, FILTER_PREFERENCE, HANDLE, redirectLines, removeFilterLine, shapeBatch } from './commands.js';
import { type ChainCounts, chainCounts } from './stats.js';
import { egressFilters, ip, linkExists, linkReport, qdiscs, tc } from './tc.js';

/** Room in the helper device's own queue, which is empty but for moments. */
const TRANSMIT_QUEUE_PACKETS = 10_000;

const ETHERNET_HEADER_BYTES = 14;

const SEGMENTS_NOTE = 'tierbed: gso_max_segs was ';

/** What is to be as it was when the chain goes. */
interface Before {
  /** `gso_max_segs`; noted in the helper device's alias, where a later process finds it if this one is killed. */
  readonly maxSegments: number | undefined;
  /** The `clsact` is somebody else's. */
  readonly clsact: boolean;
}

/**
 * The kernel's path for what leaves by an interface: a filter leads each packet to a helper device, on which TBF holds the
 * queue in bytes; from there it comes back to the interface, on which netem gives it its time, or loses it.
 */
export class Chain {
  readonly #devices: Devices;
  readonly #before: Before;

  private constructor(devices: Devices, before: Before) {
    this.#devices = devices;
    this.#before = before;
  }

  /** Puts the chain there, taking over what a process that was killed has left of it. */
  static async open(interfaceName: string, settings: DirectionSettings): Promise<Chain> {
    const { ifindex, mtu, gso_max_segs: maxSegments } = await linkReport(interfaceName);
    const devices = { interfaceName, queueName: `tbq${ifindex}`, packetBytes: mtu + ETHERNET_HEADER_BYTES };
    const left = await linkReport(devices.queueName).catch(undefinedIfMissing);
    // What cannot be is refused before anything is touched.
    shapeBatch(devices, settings, false);
    const clsact = (await qdiscs(interfaceName)).some(({ kind }) => kind === 'clsact');
    const filters = clsact ? await egressFilters(interfaceName) : [];
    const taken = filters.some(({ pref }) => pref === FILTER_PREFERENCE);
    const chain = new Chain(devices, {
      maxSegments: segmentsIn(left?.ifalias) ?? maxSegments,
      clsact: clsact && !taken,
    });
    try {
      const whole = taken && left !== undefined;
      // A filter whose device is gone drops everything, and cannot be pointed at another.
      if (taken && !whole) await tc({ lines: [removeFilterLine(devices)], table: undefined });
      if (!left) await ip('link', 'add', devices.queueName, 'type', 'ifb');
      if (chain.#before.maxSegments !== undefined) {
        await ip('link', 'set', devices.queueName, 'alias', `${SEGMENTS_NOTE}${chain.#before.maxSegments}`);
      }
      await ip(
        'link',
        'set',
        devices.queueName,
        'up',
        'mtu',
        String(mtu),
        'txqueuelen',
        String(TRANSMIT_QUEUE_PACKETS),
      );
      // One packet is one packet: the queue, the rate and the losses are the wire's.
      await ip('link', 'set', interfaceName, 'gso_max_segs', '1');
      await chain.shape(settings, false);
      if (!whole) await tc({ lines: redirectLines(devices), table: undefined });
      return chain;
    } catch (error) {
      // What a predecessor left still shapes; only what is new goes.
      if (!taken) await chain.close().catch(() => {});
      throw error;
    }
  }

  /** Changes the settings in place. @throws TierbedError `invalid`, or `refused` with the kernel's words */
  async shape(settings: DirectionSettings, blocked: boolean): Promise<void> {
    await tc(shapeBatch(this.#devices, settings, blocked));
  }

  /** @throws TierbedError `refused` when somebody else took the chain away */
  async counts(): Promise<ChainCounts> {
    const { interfaceName, queueName } = this.#devices;
    const counts = chainCounts(await qdiscs(interfaceName), await qdiscs(queueName));
    if (!counts) {
      throw new TierbedError('refused', `the shaping of ${interfaceName} was taken away by something else`, {
        fix: 'Leave its queueing disciplines (tc qdisc) alone while a testbed is up.',
      });
    }
    return counts;
  }

  /** Takes all of it away; what is gone already, interface and all, is no error. */
  async close(): Promise<void> {
    const { interfaceName, queueName } = this.#devices;
    const steps = [
      () => this.#removeFilter(),
      () => this.#removeShaping(),
      () => ip('link', 'del', queueName),
      () => this.#restoreSegments(),
    ];
    let failure: unknown;
    for (const step of steps) {
      await step().catch((error: unknown) => {
        if (!(error instanceof TierbedError && error.kind === 'missing')) failure ??= error;
      });
    }
    if (failure && (await linkExists(interfaceName))) throw failure;
  }

  async #removeFilter(): Promise<void> {
    const { interfaceName } = this.#devices;
    if (!(await qdiscs(interfaceName)).some(({ kind }) => kind === 'clsact')) return;
    const filters = await egressFilters(interfaceName);
    if (!this.#before.clsact) {
      await tc({ lines: [`qdisc del dev ${interfaceName} clsact`], table: undefined });
    } else if (filters.some(({ pref }) => pref === FILTER_PREFERENCE)) {
      await tc({ lines: [removeFilterLine(this.#devices)], table: undefined });
    }
  }

  async #removeShaping(): Promise<void> {
    const { interfaceName } = this.#devices;
    const there = (await qdiscs(interfaceName)).some(({ root, handle }) => root === true && handle === HANDLE);
    if (there) await tc({ lines: [`qdisc del dev ${interfaceName} root`], table: undefined });
  }

  async #restoreSegments(): Promise<void> {
    const { maxSegments } = this.#before;
    if (maxSegments === undefined) return;
    await ip('link', 'set', this.#devices.interfaceName, 'gso_max_segs', String(maxSegments));
  }
}

function segmentsIn(alias: string | undefined): number | undefined {
  return alias?.startsWith(SEGMENTS_NOTE) ? Number(alias.slice(SEGMENTS_NOTE.length)) : undefined;
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof TierbedError && error.kind === 'missing') return undefined;
  throw error;
}
