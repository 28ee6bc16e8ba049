// A process of its own that opens links, sends something over them and then has nothing left to do. Arguments: the module
// and the export of the driver, and how it ends: 'open', 'closed' or 'exit'.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { LinkDriver } from '../../../services/link/types.js';

const [module, exported, how] = process.argv.slice(2) as [string, string, string];
const driver = ((await import(module)) as Record<string, LinkDriver>)[exported] as LinkDriver;
const peers: Socket[] = [];
const server = createServer((socket) => {
  peers.push(socket);
  socket.on('error', () => {});
  socket.pipe(socket);
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
const port = address !== null && typeof address === 'object' ? address.port : 0;
const direction = { rateMbps: 50, delayMs: 10, jitterMs: 0, queueBytes: 65_536 };
const links = await driver.open(
  [{ name: 'mobile-edge', up: direction, down: direction }],
  [{ name: 'a', via: ['mobile-edge'], target: `127.0.0.1:${port}` }],
);
const socket = connect(Number(links.addresses.get('a')?.split(':')[1]), '127.0.0.1');
socket.on('error', () => {});
socket.write(Buffer.alloc(2_000_000));
await once(socket, 'data');
if (how === 'exit') process.exit(0);
if (how === 'closed') await links.close();
for (const own of [socket, ...peers]) own.destroy();
server.close();
