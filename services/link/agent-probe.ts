import { randomInt } from 'node:crypto';
import type { LinkAgentClient } from '../rpc/client.js';
import type { OpenProbeResponse, ProbeDatagrams } from '../rpc/link-agent.js';
import type { Arrival, DatagramTask, EchoTask, Exchange, ExchangeTask, LinkProbe } from './probe/link-probe.js';
import type { LinkName } from './types.js';

/** An agent, its tier, and the link at which its end of the measurement is. */
export interface ProbeSide {
  readonly client: LinkAgentClient;
  readonly tier: string;
  readonly link: LinkName;
}

/** Makes a way to a TCP port of the far tier, where the driver relays. */
export type RelayTo = (port: number) => Promise<{ readonly port: number; remove(): Promise<void> }>;

const CALL_MS = 20_000;

/** A measurement between the namespaces of two tiers: its ends run in their agents, the orders go over the control network. */
export class AgentProbe implements LinkProbe {
  readonly packets: NonNullable<LinkProbe['packets']> | undefined;
  readonly #near: ProbeSide & OpenProbeResponse;
  readonly #far: ProbeSide & OpenProbeResponse;
  readonly #relay: Awaited<ReturnType<RelayTo>> | undefined;

  private constructor(
    near: ProbeSide & OpenProbeResponse,
    far: ProbeSide & OpenProbeResponse,
    relay: Awaited<ReturnType<RelayTo>> | undefined,
  ) {
    this.#near = near;
    this.#far = far;
    this.#relay = relay;
    this.packets = relay ? undefined : { datagrams: (task) => this.#datagrams(task), echo: (task) => this.#echo(task) };
  }

  /** @throws TierbedError `unavailable` when an agent does not answer */
  static async open(near: ProbeSide, far: ProbeSide, relayTo?: RelayTo): Promise<AgentProbe> {
    const farEnd = { ...far, ...(await far.client.openProbe(far.link, within(0))) };
    try {
      const nearEnd = { ...near, ...(await near.client.openProbe(near.link, within(0))) };
      try {
        return new AgentProbe(nearEnd, farEnd, await relayTo?.(farEnd.tcpPort));
      } catch (error) {
        await closeEnd(nearEnd);
        throw error;
      }
    } catch (error) {
      await closeEnd(farEnd);
      throw error;
    }
  }

  async exchange(task: ExchangeTask): Promise<readonly Exchange[]> {
    const { client, id } = this.#near;
    const to = this.#relay ? { tier: '', port: this.#relay.port } : { tier: this.#far.tier, port: this.#far.tcpPort };
    const { exchanges } = await client.runProbe({ id, ...to, exchange: task }, within(task.timeoutMs));
    return exchanges.map((e) => ({
      upMs: e.upMs,
      downMs: e.downMs,
      roundTripMs: e.roundTripMs,
      upTail: { ms: e.upTailMs, bytes: e.upTailBytes },
      downTail: { ms: e.downTailMs, bytes: e.downTailBytes },
    }));
  }

  async close(): Promise<void> {
    await this.#relay?.remove().catch(() => {});
    await Promise.all([closeEnd(this.#near), closeEnd(this.#far)]);
  }

  async #datagrams({ direction, ...task }: DatagramTask): Promise<readonly Arrival[]> {
    const [from, to] = direction === 'up' ? [this.#near, this.#far] : [this.#far, this.#near];
    const send = runOf(task);
    await from.client.runProbe({ id: from.id, tier: to.tier, port: to.udpPort, send }, within(durationOf(task)));
    return (await to.client.runProbe({ id: to.id, collect: { run: send.run } }, within(0))).arrivals;
  }

  async #echo(task: EchoTask): Promise<readonly Exchange[]> {
    const { client, id } = this.#near;
    const to = { tier: this.#far.tier, port: this.#far.udpPort };
    const { exchanges } = await client.runProbe({ id, ...to, echo: runOf(task) }, within(durationOf(task)));
    const none = { ms: 0, bytes: 0 };
    return exchanges.map(({ upMs, downMs, roundTripMs }) => ({
      upMs,
      downMs,
      roundTripMs,
      upTail: none,
      downTail: none,
    }));
  }
}

function runOf({ wireBytes, count, intervalMs, settleMs, maxBurst }: EchoTask): ProbeDatagrams {
  return { run: randomInt(1, 2 ** 32 - 1), wireBytes, count, intervalMs, settleMs, maxBurst };
}

function durationOf({ count, intervalMs, settleMs }: EchoTask): number {
  return count * intervalMs + settleMs;
}

function within(taskMs: number): { readonly deadlineMs: number } {
  return { deadlineMs: Date.now() + CALL_MS + 3 * taskMs };
}

async function closeEnd({ client, id }: ProbeSide & OpenProbeResponse): Promise<void> {
  await client.closeProbe(id, within(0)).catch(() => {});
}
