import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A server on loopback that is gone with its connections when the test ends. */
export async function listen(t: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return addressOf(server);
}

/** Sends back what it gets, and the end after it. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

export function dial(t: TestContext, address: string): Socket {
  const at = address.lastIndexOf(':');
  const options = {
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    noDelay: true,
    allowHalfOpen: true,
  };
  const socket = connect(options);
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

/** All that comes until the other side ends. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (data) => parts.push(data));
  await once(socket, 'end');
  return Buffer.concat(parts);
}

/** How a connection ended: with the code of the error that broke it, or 'clean'. */
export async function ending(socket: Socket): Promise<string> {
  let code = 'clean';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code ?? error.message;
  });
  socket.resume();
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return code;
}

/** Breaks off with RST alone: Node's own `resetAndDestroy` sends FIN before it. */
export function reset(socket: Socket): void {
  (socket as Socket & { resetAndClosing: boolean }).resetAndClosing = true;
  socket.destroy();
}

/** An address at which nothing listens. */
export async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = addressOf(server);
  server.close();
  await once(server, 'close');
  return address;
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `127.0.0.1:${address.port}`;
}
