// A process in a network namespace: opens interface drivers there, and is a peer that sends and receives. Every time is
// that of the machine's monotonic clock, which all namespaces share.
import { createHash } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { nowMs } from '../../../services/link/clock.js';
import type { InterfaceDriver, InterfaceStats, OpenInterface } from '../../../services/link/interface-driver.js';
import type { DirectionSettings } from '../../../services/link/types.js';
import { answerCall, type WorkerCall } from '../../../services/link/worker-call.js';

/** How packets are to be sent: some at once, then a pause. */
export interface Packets {
  readonly host: string;
  readonly port: number;
  /** The first one's number. */
  readonly from: number;
  readonly count: number;
  readonly payloadBytes: number;
  readonly atOnce: number;
  readonly pauseMs: number;
}

export interface Arrival {
  readonly sequence: number;
  readonly atMs: number;
}

export type WorkerRequest = WorkerCall<keyof WorkerCalls>;
export type WorkerCalls = typeof calls;

let driver: InterfaceDriver | undefined;
let open: OpenInterface | undefined;
let udp: UdpSocket | undefined;
let arrivals: Arrival[] = [];
let server: Server | undefined;
let client: Socket | undefined;
const accepted = new Set<Socket>();

/** What waits for the server to have received so many bytes, over all its connections. */
let received = 0;
let waiting: { readonly bytes: number; resolve(atMs: number): void } | undefined;
let arrived: Promise<number> | undefined;

const calls = {
  /** Loads a driver, by its module and the name that it has there. */
  async load(module: string, exported: string): Promise<void> {
    driver = ((await import(module)) as Record<string, InterfaceDriver>)[exported];
  },
  async unavailable(): Promise<string | undefined> {
    return loaded().unavailable();
  },
  async open(interfaceName: string, settings: DirectionSettings): Promise<void> {
    open = await loaded().open(interfaceName, settings);
  },
  async set(settings: DirectionSettings, blocked?: boolean): Promise<void> {
    await opened().set(settings, blocked);
  },
  async stats(): Promise<InterfaceStats> {
    return opened().stats();
  },
  async close(): Promise<void> {
    await open?.close();
  },

  /** Listens for packets that begin with their number, and gives the port. */
  async receivePackets(): Promise<number> {
    udp?.close();
    arrivals = [];
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    socket.on('message', (data) => arrivals.push({ sequence: data.readUInt32BE(0), atMs: nowMs() }));
    socket.bind(0);
    await once(socket, 'listening');
    udp = socket;
    return socket.address().port;
  },
  /** Waits until nothing has come for so long. */
  async quiet(ms: number): Promise<void> {
    for (let before = -1; before !== arrivals.length; ) {
      before = arrivals.length;
      await new Promise((resolve) => setTimeout(resolve, ms));
      // A process that was not let run finds its timer and its packets due at once, the timer first.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    }
  },
  arrivals(): readonly Arrival[] {
    return arrivals;
  },
  /** Sends packets, and gives when each was sent. */
  async sendPackets({ host, port, from, count, payloadBytes, atOnce, pauseMs }: Packets): Promise<readonly number[]> {
    const socket = createSocket({ type: 'udp4', sendBufferSize: 4 * 1024 * 1024 });
    socket.bind(0);
    await once(socket, 'listening');
    const sent: number[] = [];
    const flights: Promise<void>[] = [];
    for (let sequence = from; sequence < from + count; sequence++) {
      const data = Buffer.alloc(payloadBytes);
      data.writeUInt32BE(sequence, 0);
      sent.push(nowMs());
      // A device that drops may say so; that is what is being tested.
      flights.push(new Promise((resolve) => socket.send(data, port, host, () => resolve())));
      if ((sequence + 1 - from) % atOnce === 0) {
        await Promise.all(flights.splice(0));
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
    await Promise.all(flights);
    socket.close();
    return sent;
  },

  /** Listens for connections that are answered with the SHA-256 of all they sent, once they have ended, or not at all. */
  async listen(): Promise<number> {
    await calls.hangUp();
    server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.add(socket);
      const hash = createHash('sha256');
      socket.on('data', (data) => {
        hash.update(data);
        received += data.length;
        if (waiting && received >= waiting.bytes) {
          waiting.resolve(nowMs());
          waiting = undefined;
        }
      });
      socket.on('error', () => {});
      socket.on('close', () => accepted.delete(socket));
      socket.on('end', () => socket.end(hash.digest('hex')));
    });
    server.listen(0);
    await once(server, 'listening');
    const address = server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  },
  /** Begins to wait for so many bytes more. */
  expectBytes(bytes: number): void {
    received = 0;
    arrived = new Promise((resolve) => {
      waiting = { bytes, resolve };
    });
  },
  /** When the bytes that are waited for were complete. */
  async completeMs(): Promise<number> {
    if (!arrived) throw new Error('nothing is waited for');
    return arrived;
  },
  async connect(host: string, port: number): Promise<void> {
    client?.destroy();
    client = connect({ host, port, noDelay: true });
    client.on('error', () => {});
    await once(client, 'connect');
  },
  /** Sends zeros on the connection, and gives when it began. */
  send(bytes: number): number {
    const data = Buffer.alloc(bytes);
    const atMs = nowMs();
    client?.write(data);
    return atMs;
  },
  /** Sends bytes on the connection, ends it, and gives the answer. */
  async exchange(data: Uint8Array): Promise<string> {
    const socket = client as Socket;
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    const ended = once(socket, 'end');
    socket.end(data);
    await ended;
    return Buffer.concat(chunks).toString('utf8');
  },
  async hangUp(): Promise<void> {
    client?.destroy();
    client = undefined;
    for (const socket of accepted) socket.destroy();
    udp?.close();
    udp = undefined;
    if (!server) return;
    const closing = server;
    server = undefined;
    await new Promise((resolve) => closing.close(resolve));
  },
};

function loaded(): InterfaceDriver {
  if (!driver) throw new Error('no driver is loaded');
  return driver;
}

function opened(): OpenInterface {
  if (!open) throw new Error('nothing is open');
  return open;
}

process.on('disconnect', () => process.exit(0));
process.on('message', async (request: WorkerRequest) => {
  process.send?.(await answerCall(calls, request));
});
