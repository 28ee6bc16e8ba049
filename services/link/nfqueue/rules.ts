import { readFile } from 'node:fs/promises';
import { TierbedError } from '../../../base/errors.js';
import { findIptables, type Iptables } from '../system/iptables.js';

const TABLE = 'mangle';
const HOOK = 'PREROUTING';

/** The chain that holds an interface's rule: by its name, any process recognises what a killed one left. */
export function chainOf(interfaceName: string): string {
  return `tierbed-${interfaceName}`;
}

function jump(interfaceName: string): string {
  return `${HOOK} -i ${interfaceName} -j ${chainOf(interfaceName)}`;
}

/**
 * Lines that send what comes in by an interface to a queue, whatever of it is there already.
 *
 * Without `--queue-bypass`: while no process holds the queue, the kernel drops what is sent to it. With it, a link whose
 * shaper died would go on unshaped, and measure something else without a word.
 *
 * @param present the hook's rules, as they are listed
 */
export function installLines(interfaceName: string, queue: number, present: readonly string[]): string[] {
  const chain = chainOf(interfaceName);
  return [
    `:${chain} - [0:0]`,
    `-A ${chain} -j NFQUEUE --queue-num ${queue}`,
    ...(jumps(interfaceName, present) > 0 ? [] : [`-I ${jump(interfaceName)}`]),
  ];
}

/** Lines that take all of it away again. */
export function removeLines(interfaceName: string, present: readonly string[]): string[] {
  const chain = chainOf(interfaceName);
  const unhook = Array.from({ length: jumps(interfaceName, present) }, () => `-D ${jump(interfaceName)}`);
  return [...unhook, `-F ${chain}`, `-X ${chain}`];
}

function jumps(interfaceName: string, present: readonly string[]): number {
  return present.filter((rule) => rule === `-A ${jump(interfaceName)}`).length;
}

/** The rules of one interface, for IPv4, and for IPv6 where the interface has it. */
export class QueueRules {
  readonly #interfaceName: string;
  readonly #filters: readonly Iptables[];

  private constructor(interfaceName: string, filters: readonly Iptables[]) {
    this.#interfaceName = interfaceName;
    this.#filters = filters;
  }

  /** @throws TierbedError `unavailable`: no program, or IPv6 that could not be shaped */
  static async of(interfaceName: string): Promise<QueueRules> {
    const filters = [await findIptables('ip')];
    if (await hasIpv6(interfaceName)) {
      const filter6 = await findIptables('ip6').catch((error: unknown) => {
        throw new TierbedError('unavailable', `IPv6 on ${interfaceName} would pass unshaped: ${String(error)}`, {
          cause: error,
          fix: `install ip6tables, or turn it off: sysctl -w net.ipv6.conf.${interfaceName}.disable_ipv6=1`,
        });
      });
      filters.push(filter6);
    }
    return new QueueRules(interfaceName, filters);
  }

  /** @throws TierbedError `refused`; then nothing is there that was not before */
  async install(queue: number): Promise<void> {
    const fresh: Iptables[] = [];
    try {
      for (const filter of this.#filters) {
        const present = (await filter.list(TABLE, HOOK)) ?? [];
        await filter.commit(TABLE, installLines(this.#interfaceName, queue, present));
        if (jumps(this.#interfaceName, present) === 0) fresh.push(filter);
      }
    } catch (error) {
      for (const filter of fresh) await this.#removeFrom(filter);
      throw error;
    }
  }

  /** @throws TierbedError `refused` */
  async remove(): Promise<void> {
    for (const filter of this.#filters) await this.#removeFrom(filter);
  }

  async #removeFrom(filter: Iptables): Promise<void> {
    if (!(await filter.list(TABLE, chainOf(this.#interfaceName)))) return;
    await filter.commit(TABLE, removeLines(this.#interfaceName, (await filter.list(TABLE, HOOK)) ?? []));
  }
}

async function hasIpv6(interfaceName: string): Promise<boolean> {
  try {
    return (await readFile(`/proc/sys/net/ipv6/conf/${interfaceName}/disable_ipv6`, 'utf8')).trim() === '0';
  } catch {
    return false;
  }
}

/** Whether the kernel knows the NFQUEUE target: puts it in a chain that nothing leads to. @throws TierbedError `refused` */
export async function tryTarget(): Promise<void> {
  const filter = await findIptables('ip');
  const chain = `tierbed-try-${process.pid}`;
  try {
    await filter.commit(TABLE, [`:${chain} - [0:0]`, `-A ${chain} -j NFQUEUE --queue-num 0`]);
  } finally {
    if (await filter.list(TABLE, chain)) await filter.commit(TABLE, [`-F ${chain}`, `-X ${chain}`]);
  }
}
