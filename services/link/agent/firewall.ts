import { readFile } from 'node:fs/promises';
import { messageOf, TierbedError } from '../../../base/errors.js';
import { findIptables, type Iptables } from '../system/iptables.js';
import type { LinkName } from '../types.js';
import type { AgentPlan } from './plan.js';
import { CHAINS, filterRules, type InterfaceNames, ipv6Rules, natRules } from './rules.js';

type Table = keyof typeof CHAINS;

/** The agent's own chains in its namespace's tables. Each change of a table is one: no packet meets half of it. */
export class Firewall {
  readonly #plan: AgentPlan;
  readonly #names: InterfaceNames;
  readonly #dataPort: number;
  readonly #ipv4: Iptables;

  private constructor(plan: AgentPlan, names: InterfaceNames, dataPort: number, ipv4: Iptables) {
    this.#plan = plan;
    this.#names = names;
    this.#dataPort = dataPort;
    this.#ipv4 = ipv4;
  }

  /**
   * Puts the rules in, with every link shut; those of an earlier agent are replaced. The testbed speaks IPv4: where an
   * interface has IPv6 too, nothing of that passes.
   *
   * @throws TierbedError `unavailable` or `refused` when iptables does not work here, with what it said
   */
  static async open(plan: AgentPlan, names: InterfaceNames, dataPort: number): Promise<Firewall> {
    const ipv4 = await findIptables('ip');
    const firewall = new Firewall(plan, names, dataPort, ipv4);
    try {
      await firewall.shut(new Set(names.data.keys()));
      if (plan.translations.length > 0) await install(ipv4, 'nat', natRules(plan, names, dataPort));
      const all = [names.control, ...names.data.values()];
      const speaking = (await Promise.all(all.map(hasIpv6))).some(Boolean);
      if (speaking) await install(await findIptables('ip6'), 'filter', ipv6Rules(all));
      return firewall;
    } catch (error) {
      for (const table of ['filter', 'nat'] as const) await uninstall(ipv4, table).catch(() => {});
      throw error;
    }
  }

  /** Lets nothing pass on these links, and opens the others. */
  async shut(links: ReadonlySet<LinkName>): Promise<void> {
    await install(this.#ipv4, 'filter', filterRules(this.#plan, this.#names, this.#dataPort, links));
  }

  /**
   * Takes the translation away; the filter stays, which keeps links shut.
   *
   * @throws TierbedError `refused` with the words of iptables
   */
  async close(): Promise<void> {
    await uninstall(this.#ipv4, 'nat');
  }
}

function jumpTo(builtIn: string, chain: string): string {
  return `${builtIn} -j ${chain}`;
}

/** Fills the agent's chains of a table, and makes the built-in ones lead to them before anything else that is there. */
async function install(
  iptables: Iptables,
  table: Table,
  rules: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const lines = Object.keys(rules).map((chain) => `:${chain} - [0:0]`);
  for (const [chain, list] of Object.entries(rules)) lines.push(...list.map((rule) => `-A ${chain} ${rule}`));
  for (const [builtIn, chain] of Object.entries(CHAINS[table])) {
    const present = (await iptables.list(table, builtIn)) ?? [];
    const jump = jumpTo(builtIn, chain);
    if (!present.includes(`-A ${jump}`)) lines.push(`-I ${jump}`);
  }
  try {
    await iptables.commit(table, lines);
  } catch (error) {
    throw new TierbedError('refused', `the ${table} table of this namespace cannot be set: ${messageOf(error)}`, {
      fix: 'Give the agent NET_ADMIN and NET_RAW, and use a kernel with netfilter (filter, nat and mangle tables).',
      cause: error,
    });
  }
}

/** Takes the agent's chains of a table away, where they are. */
async function uninstall(iptables: Iptables, table: Table): Promise<void> {
  const lines: string[] = [];
  for (const [builtIn, chain] of Object.entries(CHAINS[table])) {
    if (!(await iptables.list(table, chain))) continue;
    const present = (await iptables.list(table, builtIn)) ?? [];
    const jump = jumpTo(builtIn, chain);
    lines.push(...present.filter((rule) => rule === `-A ${jump}`).map(() => `-D ${jump}`));
    lines.push(`-F ${chain}`, `-X ${chain}`);
  }
  if (lines.length > 0) await iptables.commit(table, lines);
}

async function hasIpv6(interfaceName: string): Promise<boolean> {
  const disabled = await readFile(`/proc/sys/net/ipv6/conf/${interfaceName}/disable_ipv6`, 'utf8').catch(() => '1');
  return disabled.trim() === '0';
}
