import { messageOf, TierbedError } from '../../../base/errors.js';
import type { LinkName } from '../types.js';
import { command } from './command.js';
import type { AgentPlan } from './plan.js';
import { CHAINS, filterRules, type InterfaceNames, natRules } from './rules.js';

/** Which one works is a matter of the kernel; the first that does is used for everything. */
const BACKENDS = ['iptables-legacy', 'iptables-nft', 'iptables'];
/** Seconds to wait for another program that holds the lock of the tables. */
const LOCK_WAIT = ['-w', '10'];

type Table = keyof typeof CHAINS;

/** The agent's own chains in its namespace's tables. Each change of a table is one: no packet meets half of it. */
export class Firewall {
  readonly backend: string;
  readonly #plan: AgentPlan;
  readonly #names: InterfaceNames;
  readonly #dataPort: number;

  private constructor(backend: string, plan: AgentPlan, names: InterfaceNames, dataPort: number) {
    this.backend = backend;
    this.#plan = plan;
    this.#names = names;
    this.#dataPort = dataPort;
  }

  /**
   * Puts the rules in, with every link shut; those of an earlier agent are replaced.
   *
   * @throws TierbedError `refused` when no backend of iptables works here, with what each said
   */
  static async open(plan: AgentPlan, names: InterfaceNames, dataPort: number): Promise<Firewall> {
    const failures: string[] = [];
    for (const backend of BACKENDS) {
      const firewall = new Firewall(backend, plan, names, dataPort);
      try {
        await firewall.shut(new Set(names.data.keys()));
        await firewall.#lead('filter');
        if (plan.translations.length > 0) {
          await command(`${backend}-restore`, [...LOCK_WAIT, '--noflush'], natRules(plan, names));
          await firewall.#lead('nat');
        }
        return firewall;
      } catch (error) {
        failures.push(messageOf(error));
        await firewall.#remove(['nat', 'filter']);
      }
    }
    throw new TierbedError('refused', `iptables does not work here: ${failures.join('; ')}`, {
      fix: 'Give the agent NET_ADMIN and NET_RAW, and use a kernel with netfilter (filter, nat and mangle tables).',
    });
  }

  /** Lets nothing pass on these links, and opens the others. */
  async shut(links: ReadonlySet<LinkName>): Promise<void> {
    const rules = filterRules(this.#plan, this.#names, this.#dataPort, links);
    await command(`${this.backend}-restore`, [...LOCK_WAIT, '--noflush'], rules);
  }

  /** Takes the translation away, and the filter too unless it is to stay. Never throws. */
  async close(keepFilter: boolean): Promise<void> {
    await this.#remove(keepFilter ? ['nat'] : ['nat', 'filter']);
  }

  /** Makes the built-in chains of a table lead to the agent's, before anything else that is in them. */
  async #lead(table: Table): Promise<void> {
    for (const [builtIn, chain] of Object.entries(CHAINS[table])) {
      const rule = [builtIn, '-j', chain];
      const there = await command(this.backend, [...LOCK_WAIT, '-t', table, '-C', ...rule]).then(
        () => true,
        () => false,
      );
      if (!there) await command(this.backend, [...LOCK_WAIT, '-t', table, '-I', ...rule]);
    }
  }

  async #remove(tables: readonly Table[]): Promise<void> {
    for (const table of tables) {
      for (const [builtIn, chain] of Object.entries(CHAINS[table])) {
        for (const args of [
          ['-D', builtIn, '-j', chain],
          ['-F', chain],
          ['-X', chain],
        ]) {
          await command(this.backend, [...LOCK_WAIT, '-t', table, ...args]).catch(() => {});
        }
      }
    }
  }
}
