// A process that shapes one interface of the network namespace it runs in, and does what it is told on standard input:
// one JSON array a line, [method, ...arguments] of the driver or of what it opened; the answer is a line too.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { TierbedError } from '../../../base/errors.js';
import { nfqueueDriver } from '../../../services/link/drivers/nfqueue.js';
import type { OpenInterface } from '../../../services/link/interface-driver.js';
import type { DirectionSettings } from '../../../services/link/types.js';

const PORT = 9100;
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
/** Datagrams that came: number, and how long each took, in ms. */
let arrivals: [number, number][] = [];

const open = new Map<string, OpenInterface>();

function opened(name: string): OpenInterface {
  const found = open.get(name);
  if (!found) throw new Error(`${name} is not open`);
  return found;
}

const calls: Readonly<Record<string, (name: string, ...args: never[]) => unknown>> = {
  unavailable: async () => (await nfqueueDriver.unavailable()) ?? null,
  open: async (name, settings: DirectionSettings) => {
    open.set(name, await nfqueueDriver.open(name, settings));
  },
  set: (name, settings: DirectionSettings, blocked?: boolean) => opened(name).set(settings, blocked),
  stats: (name) => opened(name).stats(),
  close: (name) => opened(name).close(),
  /** Notes what `send` sends from the other side of the cable. */
  receive: async (_name) => {
    const socket = createSocket('udp4', (data) => {
      arrivals.push([data.readUInt32LE(8), nowMs() - data.readDoubleLE(0)]);
    });
    await new Promise<void>((resolve) => socket.bind(PORT, resolve));
    socket.setRecvBufferSize(4 * 1024 * 1024);
    socket.unref();
  },
  arrivals: () => {
    const taken = arrivals;
    arrivals = [];
    return taken;
  },
  /** Sends `count` datagrams of so many bytes on the wire, numbered from `first`. */
  send: async (_name, host: string, first: number, count: number, wireBytes: number, gapMs: number) => {
    const socket = createSocket('udp4');
    for (let i = 0; i < count; i++) {
      const data = Buffer.alloc(wireBytes - 42);
      data.writeDoubleLE(nowMs(), 0);
      data.writeUInt32LE(first + i, 8);
      // Whether it arrives is what the test asks; a full buffer is waited for.
      await new Promise((resolve) => socket.send(data, PORT, host, resolve));
      if (gapMs > 0) await sleep(gapMs);
    }
    socket.close();
  },
  /** Takes connections, and says when a message is complete: its length in 4 bytes, then as many. */
  serve: async (_name) => {
    const server = createServer((socket) => {
      let [wanted, had] = [-1, 0];
      socket.on('error', () => {});
      socket.on('data', (data) => {
        had += data.length;
        if (wanted < 0) wanted = data.readUInt32LE(0);
        if (had < wanted) return;
        const at = Buffer.alloc(8);
        at.writeDoubleLE(nowMs());
        socket.write(at);
        [wanted, had] = [-1, 0];
      });
    });
    await new Promise<void>((resolve) => server.listen(PORT, resolve));
    server.unref();
  },
  /** How long a message of so many bytes takes over a connection that is there already, in ms, one way. */
  message: async (_name, host: string, bytes: number) => {
    const socket = connect({ host, port: PORT, noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const data = Buffer.alloc(bytes);
    data.writeUInt32LE(bytes);
    const sentMs = nowMs();
    socket.write(data);
    const [answer] = await new Promise<[Buffer]>((resolve, reject) =>
      socket.once('data', (data) => resolve([data])).once('error', reject),
    );
    socket.destroy();
    return answer.readDoubleLE(0) - sentMs;
  },
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [method, name, ...args] = JSON.parse(line) as [string, string, ...never[]];
  try {
    const result = await calls[method]?.(name, ...args);
    console.log(JSON.stringify({ ok: true, result: result ?? null }));
  } catch (error) {
    const kind = error instanceof TierbedError ? error.kind : 'defect';
    console.log(JSON.stringify({ ok: false, kind, message: error instanceof Error ? error.message : String(error) }));
  }
}
for (const each of open.values()) await each.close().catch(() => {});
