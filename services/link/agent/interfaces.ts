import { readFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { TierbedError } from '../../../base/errors.js';
import type { DirectionSettings } from '../types.js';
import { command } from './command.js';
import type { AgentPlan } from './plan.js';
import type { InterfaceNames } from './rules.js';

const LOOK_AGAIN_MS = 100;
const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';

/**
 * Finds the interfaces that have the plan's addresses, waiting for those that are not there yet.
 *
 * @throws TierbedError `missing` naming the address that no interface has
 */
export async function findInterfaces(plan: AgentPlan, withinMs: number): Promise<InterfaceNames> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const control = interfaceOf(plan.controlAddress);
    const data = plan.data.map(({ link, address }) => [link, interfaceOf(address)] as const);
    const absent = control === undefined ? plan.controlAddress : plan.data.find((_, i) => !data[i]?.[1])?.address;
    if (absent === undefined)
      return { control: control as string, data: new Map(data as [(typeof data)[0][0], string][]) };
    if (performance.now() > untilMs) {
      throw new TierbedError('missing', `no interface of ${plan.tier} has the address ${absent}`, {
        fix: 'Set TIERBED_NET (or --net) to what the networks begin with, e.g. 10.203, and give the agent its addresses.',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

function interfaceOf(address: string): string | undefined {
  const found = Object.entries(networkInterfaces()).find(([, list]) => list?.some((a) => a.address === address));
  // An alias such as eth0:1 is a name of eth0.
  return found?.[0].split(':')[0];
}

/** Gives the interfaces their second addresses; one that is there stays. */
export async function addSecondAddresses(plan: AgentPlan, names: InterfaceNames): Promise<void> {
  for (const { link, second } of plan.data) {
    if (second) await command('ip', ['address', 'replace', `${second}/32`, 'dev', names.data.get(link) as string]);
  }
}

/** Takes the second addresses away again. Never throws. */
export async function removeSecondAddresses(plan: AgentPlan, names: InterfaceNames): Promise<void> {
  for (const { link, second } of plan.data) {
    const args = ['address', 'delete', `${second}/32`, 'dev', names.data.get(link) as string];
    if (second) await command('ip', args).catch(() => {});
  }
}

/** Makes sure that the kernel passes packets on. @throws TierbedError `refused` when it does not and cannot be told to */
export async function assertForwarding(): Promise<void> {
  if ((await readFile(IP_FORWARD, 'utf8')).trim() === '1') return;
  try {
    await writeFile(IP_FORWARD, '1');
  } catch (error) {
    throw new TierbedError('refused', 'edge does not pass packets on: net.ipv4.ip_forward is 0', {
      fix: 'Start the agent of edge with the sysctl net.ipv4.ip_forward=1.',
      cause: error,
    });
  }
}

/** As many packets as Linux puts in one where nothing limits it. */
const ALL_SEGMENTS = 65_535;
/** Wire bits of a full packet. */
const PACKET_BITS = 1514 * 8;
const AT_ONCE_MS = 0.12;

/**
 * How many packets the kernel may hand over as one: as many as pass in 0.12 ms, so that links in series store and forward
 * packets and no trains of them; one where packets get lost, because such a train is lost whole.
 */
export function segmentsAtOnce(settings: DirectionSettings): number {
  const lossy = !!settings.lossPct || settings.trace !== undefined;
  if (lossy) return 1;
  if (!settings.rateMbps) return ALL_SEGMENTS;
  return Math.max(1, Math.min(ALL_SEGMENTS, Math.floor((settings.rateMbps * 1000 * AT_ONCE_MS) / PACKET_BITS)));
}

/** Bounds what leaves by an interface in one piece. @throws TierbedError `refused` where the kernel cannot */
export async function setSegmentsAtOnce(interfaceName: string, segments: number): Promise<void> {
  await command('ip', ['link', 'set', 'dev', interfaceName, 'gso_max_segs', `${segments}`]);
}
