import type { TierName } from '../../tiers/tiers.js';

/** Where the testbed's containers are; docs/docker.md has the picture. All host:port. */
export interface TestbedAddresses {
  /** The nodes' control planes, on the control network. */
  readonly nodes: Readonly<Record<TierName, string>>;
  /** The link agents' control planes, at the same addresses: agent and node share a network namespace. */
  readonly agents: Readonly<Record<TierName, string>>;
  /** Each tier's data plane as another one reaches it, over the links; by `FROM>TO`. */
  readonly data: ReadonlyMap<string, string>;
}

const DATA_PORT = 8001;
const NODE_PORT = 8003;
const AGENT_PORT = 8004;

/** @param net the first half of the testbed's addresses, e.g. `10.203` */
export function testbedAddresses(net: string): TestbedAddresses {
  const control = (port: number) => ({
    mobile: `${net}.3.10:${port}`,
    edge: `${net}.3.20:${port}`,
    cloud: `${net}.3.30:${port}`,
  });
  return {
    nodes: control(NODE_PORT),
    agents: control(AGENT_PORT),
    data: new Map([
      ['mobile>edge', `${net}.1.20:${DATA_PORT}`],
      // An address of edge's, which translates it and leads on over the second link.
      ['mobile>cloud', `${net}.1.30:${DATA_PORT}`],
      ['edge>cloud', `${net}.2.30:${DATA_PORT}`],
    ]),
  };
}
