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

/** Rules by the agent's chain, as `iptables -A` takes them. */
export type ChainRules = Readonly<Record<string, readonly string[]>>;

/**
 * The filter table. On the control network a tier hears and answers the controllers alone,
 * and nobody reaches the data port; over a link nobody reaches the control network. Nothing passes an interface whose link
 * is shut.
 */
export function filterRules(
  plan: AgentPlan,
  names: InterfaceNames,
  dataPort: number,
  shut: ReadonlySet<LinkName>,
): ChainRules {
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
  return { [INPUT]: input, [FORWARD]: forward, [OUTPUT]: output };
}

/**
 * The nat table: addresses that stand for a tier behind this one. A node listens on the first of its links alone: what
 * comes to its data port over the second is led there.
 */
export function natRules(plan: AgentPlan, names: InterfaceNames, dataPort: number): ChainRules {
  const before: string[] = [];
  const [first, ...others] = plan.data;
  for (const { link, address } of others) {
    const came = `-i ${names.data.get(link)} -d ${address} -p tcp --dport ${dataPort}`;
    before.push(`${came} -j DNAT --to-destination ${first?.address}`);
  }
  const after: string[] = [];
  for (const { from, to, rewrite, address, becomes } of plan.translations) {
    if (rewrite === 'destination')
      before.push(`-i ${names.data.get(from)} -d ${address} -j DNAT --to-destination ${becomes}`);
    else after.push(`-o ${names.data.get(to)} -s ${address} -j SNAT --to-source ${becomes}`);
  }
  const { PREROUTING, POSTROUTING } = CHAINS.nat;
  return { [PREROUTING]: before, [POSTROUTING]: after };
}

/** The filter table of IPv6: nothing passes these interfaces. */
export function ipv6Rules(interfaceNames: readonly string[]): ChainRules {
  const coming = interfaceNames.map((name) => `-i ${name} -j DROP`);
  const going = interfaceNames.map((name) => `-o ${name} -j DROP`);
  const { INPUT, FORWARD, OUTPUT } = CHAINS.filter;
  return { [INPUT]: coming, [FORWARD]: [...coming, ...going], [OUTPUT]: going };
}
