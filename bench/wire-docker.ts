// npm run bench:wire:docker [-- PART] : bench:wire between the tiers of the Docker testbed: sender and receivers are
// containers in the network namespaces of mobile and edge, and the link between them is shaped by the agents.
import { packageRoot } from '../base/paths.js';
import { ComposeTestbed } from '../test/support/compose-testbed.js';
import { benchWire, directionOf } from './wire-cells.js';
import { WirePeer } from './wire-peer.js';
import type { Addresses } from './wire-protocol.js';

const NET = '10.243';
const testbed = new ComposeTestbed({ project: 'tierbed-bench', net: NET, apiPort: 37070, prometheusPort: 39090 });

/** A program of the benchmark in a tier's network namespace. */
async function start(tier: string, file: string, host: string): Promise<WirePeer> {
  const network = `container:${await testbed.container(`${tier}-link`)}`;
  const image = process.env.TIERBED_NODE_IMAGE ?? 'node:24-bookworm-slim';
  const mount = `${packageRoot}:/tierbed:ro`;
  const where = [
    '--interactive',
    '--rm',
    '--init',
    '--network',
    network,
    '--volume',
    mount,
    '--env',
    `WIRE_HOST=${host}`,
  ];
  return new WirePeer(['docker', 'run', ...where, image, 'node', `/tierbed/dist/bench/${file}`]);
}

let receiver: WirePeer | undefined;
let sender: WirePeer | undefined;
try {
  process.stderr.write('bringing the testbed up\n');
  await testbed.up();
  receiver = await start('edge', 'wire-receiver.js', `${NET}.1.20`);
  const addresses = await receiver.next<Addresses>();
  sender = await start('mobile', 'wire-sender.js', '');
  await benchWire({
    name: 'wire-docker',
    part: process.argv[2],
    sender,
    addresses,
    setLink: async (cell) => {
      const { rateMbps, delayMs, queueBytes } = directionOf(cell);
      const rate = rateMbps ? String(rateMbps) : 'unlimited';
      await testbed.must(
        ...['link', 'set', 'mobile-edge', '--rate-mbps', rate, '--delay-ms', String(delayMs)],
        ...['--queue-bytes', String(queueBytes)],
      );
    },
  });
} finally {
  sender?.close();
  receiver?.close();
  await testbed.down();
}
