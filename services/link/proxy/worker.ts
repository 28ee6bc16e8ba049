// The proxy's thread: listeners, connections, and the fabric that they share.
import { createServer, type Server } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { TierbedError } from '../../../base/errors.js';
import { Random } from '../../../base/random.js';
import { nowMs } from '../clock.js';
import { Shaper } from '../shaping/shaper.js';
import { becomeUrgent } from '../system/urgent.js';
import type { Direction, LinkName, LinkSettings, Route } from '../types.js';
import { answerCall } from '../worker-call.js';
import { Alarm } from './alarm.js';
import { Connection } from './connection.js';
import { Fabric, Station } from './fabric.js';
import type { ProxyCalls, ProxyRequest } from './protocol.js';

/** What is due within this time is done now: waking up again takes longer. */
const EARLY_MS = 0.1;

becomeUrgent();
const links = new Map<LinkName, Record<Direction, Station>>();
const routes = new Map<string, { readonly server: Server; readonly connections: Set<Connection> }>();
let fabric = new Fabric([]);
const alarm = new Alarm(pump);

/** When what is read now arrived: a sleeping thread notices bytes as late as it notices the alarm. */
function block(name: LinkName, blocked = false): void {
  for (const station of Object.values(stations(name))) station.block(blocked, nowMs());
}

function arrivedMs(): number {
  return nowMs() - alarm.wakeMs;
}

function pump(): void {
  fabric.advance(nowMs() + EARLY_MS);
  for (const { connections } of routes.values()) for (const connection of connections) connection.flush();
  alarm.set(fabric.nextMs);
}

const calls: { [M in keyof ProxyCalls]: (...args: Parameters<ProxyCalls[M]>) => unknown } = {
  open(settings, seed) {
    const random = new Random(seed);
    const station = (link: LinkSettings, direction: Direction) => {
      const jitter = random.fork(`${link.name} ${direction}`);
      return new Station(new Shaper(link[direction], jitter, nowMs()));
    };
    for (const link of settings) links.set(link.name, { up: station(link, 'up'), down: station(link, 'down') });
    fabric = new Fabric([...links.values()].flatMap(({ up, down }) => [up, down]));
    for (const { name, blocked } of settings) block(name, blocked);
  },

  async addRoute(route) {
    const up = route.via.map((name) => stations(name).up);
    const down = route.via.map((name) => stations(name).down).reverse();
    const target = splitAddress(route);
    const listenOn = route.listenOn ?? '127.0.0.1';
    const connections = new Set<Connection>();
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
      const connection: Connection = new Connection({
        client,
        target,
        up,
        down,
        nowMs,
        arrivedMs,
        pump,
        onClosed: () => connections.delete(connection),
      });
      connections.add(connection);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, listenOn, resolve);
    });
    routes.set(route.name, { server, connections });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a listener without a port');
    return `${listenOn}:${address.port}`;
  },

  async removeRoute(name) {
    const route = routes.get(name);
    if (!route) return;
    routes.delete(name);
    const closed = new Promise<void>((resolve) => route.server.close(() => resolve()));
    for (const connection of [...route.connections]) connection.destroy();
    await closed;
  },

  set(link) {
    const { up, down } = stations(link.name);
    up.shaper.set(link.up, nowMs());
    down.shaper.set(link.down, nowMs());
    block(link.name, link.blocked);
    pump();
  },

  stats() {
    return new Map(
      [...links].map(([name, { up, down }]) => [
        name,
        { upBytes: up.shaper.releasedBytes, downBytes: down.shaper.releasedBytes },
      ]),
    );
  },

  async close() {
    await Promise.all([...routes.keys()].map((name) => calls.removeRoute(name)));
    await alarm.close();
  },
};

function stations(name: LinkName): Record<Direction, Station> {
  const found = links.get(name);
  if (!found) throw new TierbedError('invalid', `no link named '${name}' is open`);
  return found;
}

function splitAddress(route: Route): { host: string; port: number } {
  const at = route.target.lastIndexOf(':');
  const host = route.target.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const port = Number(route.target.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new TierbedError('invalid', `route '${route.name}': the target '${route.target}' is not host:port`);
  }
  return { host, port };
}

parentPort?.on('message', async (request: ProxyRequest) => {
  parentPort?.postMessage(await answerCall(calls, request));
  if (request.method === 'close') parentPort?.close();
});
