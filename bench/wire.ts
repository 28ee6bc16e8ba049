// npm run bench:wire [-- PART] : what gRPC as Tierbed sets it up takes to send a tensor, against a raw TCP socket and stock
// grpc-js on the same shaped link, on loopback. PART limits the cells to those whose name holds it, and writes no result.
import { fileURLToPath } from 'node:url';
import { LINK_DRIVERS } from '../services/link/index.js';
import type { LinkSettings, OpenLinks } from '../services/link/types.js';
import { benchWire, type Cell, directionOf } from './wire-cells.js';
import { WirePeer } from './wire-peer.js';
import { type Addresses, CONTENDERS, type Contender } from './wire-protocol.js';

const start = (file: string): WirePeer =>
  new WirePeer([process.execPath, fileURLToPath(new URL(file, import.meta.url))]);

function link(cell: Cell): LinkSettings {
  return { name: 'mobile-edge', up: directionOf(cell), down: directionOf(cell) };
}

const receiver = start('./wire-receiver.js');
const sender = start('./wire-sender.js');
let links: OpenLinks | undefined;
try {
  const targets = await receiver.next<Addresses>();
  const routes = CONTENDERS.map((name) => ({ name, via: ['mobile-edge'] as const, target: targets[name] }));
  const driver = LINK_DRIVERS.proxy;
  if (!driver) throw new Error('no proxy driver');
  const opened = await driver.open([link({ bytes: 0, rttMs: 0, rateMbps: 0 })], routes);
  links = opened;
  const address = (contender: Contender) => opened.addresses.get(contender) as string;
  await benchWire({
    name: 'wire',
    part: process.argv[2],
    sender,
    addresses: { raw: address('raw'), tierbed: address('tierbed'), stock: address('stock') },
    setLink: (cell) => opened.set(link(cell)),
  });
} finally {
  await links?.close();
  receiver.close();
  sender.close();
}
