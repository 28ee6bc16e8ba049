import type { LinkName } from '../types.js';
import type { AgentPlan } from './plan.js';

/** The names of a plan's interfaces in its namespace. */
export interface InterfaceNames {
  readonly control: string;
  readonly data: ReadonlyMap<LinkName, string>;
}

/** Chains that the agent makes, by the built-in chain that leads to each. */
export const CHAINS = {
  filter: { INPUT: 'TIERBED-INPUT', FORWARD: 'TIERBED-FORWARD', OUTPUT: 'TIERBED-OUTPUT' },
  nat: { PREROUTING: 'TIERBED-PREROUTING', POSTROUTING: 'TIERBED-POSTROUTING' },
} as const;

/**
 * The filter table for `iptables-restore --noflush`. On the control network a tier hears and answers the controllers alone,
 * and nobody reaches the data port; over a link nobody reaches the control network. Nothing passes an interface whose link
 * is shut.
 */
export function filterRules(
  plan: AgentPlan,
  names: InterfaceNames,
  dataPort: number,
  shut: ReadonlySet<LinkName>,
): string {
  const { control } = names;
  const input: string[] = [];
  const forward: string[] = [`-i ${control} -j DROP`, `-o ${control} -j DROP`, `-d ${plan.controlNetwork} -j DROP`];
  const output: string[] = [];
  for (const [link, name] of names.data) {
    if (shut.has(link)) {
      input.push(`-i ${name} -j DROP`);
      forward.push(`-i ${name} -j DROP`, `-o ${name} -j DROP`);
      output.push(`-o ${name} -j DROP`);
    } else {
      input.push(`-i ${name} -d ${plan.controlNetwork} -j DROP`);
    }
  }
  input.push(`-i ${control} -p tcp --dport ${dataPort} -j DROP`);
  for (const address of plan.controllers) {
    input.push(`-i ${control} -s ${address} -j RETURN`);
    output.push(`-o ${control} -d ${address} -j RETURN`);
  }
  input.push(`-i ${control} -j DROP`);
  output.push(`-o ${control} -j DROP`);
  const { INPUT, FORWARD, OUTPUT } = CHAINS.filter;
  return restore('filter', { [INPUT]: input, [FORWARD]: forward, [OUTPUT]: output });
}

/** The nat table for `iptables-restore --noflush`. */
export function natRules(plan: AgentPlan, names: InterfaceNames): string {
  const before: string[] = [];
  const after: string[] = [];
  for (const { from, to, rewrite, address, becomes } of plan.translations) {
    if (rewrite === 'destination')
      before.push(`-i ${names.data.get(from)} -d ${address} -j DNAT --to-destination ${becomes}`);
    else after.push(`-o ${names.data.get(to)} -s ${address} -j SNAT --to-source ${becomes}`);
  }
  const { PREROUTING, POSTROUTING } = CHAINS.nat;
  return restore('nat', { [PREROUTING]: before, [POSTROUTING]: after });
}

function restore(table: string, chains: Readonly<Record<string, readonly string[]>>): string {
  const made = Object.keys(chains).map((chain) => `:${chain} - [0:0]`);
  const rules = Object.entries(chains).flatMap(([chain, list]) => list.map((rule) => `-A ${chain} ${rule}`));
  return `${[`*${table}`, ...made, ...rules, 'COMMIT'].join('\n')}\n`;
}
