import { connect, type Socket } from 'node:net';
import { Flow, type Parcel, type Station } from './fabric.js';

/** What may wait in this process for a receiver that does not read, beside what its kernel buffers hold. */
const RECEIVER_HIGH_BYTES = 4 * 1024 * 1024;

export interface ConnectionOptions {
  readonly client: Socket;
  readonly target: { readonly host: string; readonly port: number };
  /** Directions that a request crosses, in order, and that its answer does. */
  readonly up: readonly Station[];
  readonly down: readonly Station[];
  readonly nowMs: () => number;
  /** When what a socket reports now happened. */
  readonly arrivedMs: () => number;
  /** Something was sent: work off what is due. */
  readonly pump: () => void;
  readonly onClosed: () => void;
}

/**
 * One client's connection over a route: two sockets and a flow each way.
 *
 * The handshake takes its round trip too: the client may send at once, but its bytes are read when the far end's answer
 * to the wish to connect has come back.
 */
export class Connection {
  readonly #client: End;
  #target: End | undefined;
  readonly #options: ConnectionOptions;
  readonly #up: Flow;
  readonly #down: Flow;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#up = new Flow(options.up, {
      deliver: (parcel) => this.#atTarget(parcel),
      hold: (held) => this.#client.hold(held),
    });
    this.#down = new Flow(options.down, {
      deliver: (parcel) => this.#atClient(parcel),
      hold: (held) => this.#target?.hold(held),
    });
    this.#client = new End(options.client, this.#up, this.#down, options, () => this.#settle());
    this.#send(this.#up, { kind: 'open' });
  }

  /** Passes on what was written since the last call, in as few system calls as it takes. */
  flush(): void {
    this.#client.flush();
    this.#target?.flush();
  }

  /** Breaks both sides off at once: what was cut off must not look complete. */
  destroy(): void {
    reset(this.#client.socket);
    if (this.#target) reset(this.#target.socket);
    this.#finish();
  }

  #send(flow: Flow, parcel: Parcel): void {
    flow.send(parcel, this.#options.arrivedMs());
    this.#options.pump();
  }

  #atTarget(parcel: Parcel): void {
    if (this.#closed) return;
    if (parcel.kind === 'open') this.#connect();
    else if (this.#target) this.#target.deliver(parcel);
    else this.destroy();
  }

  #atClient(parcel: Parcel): void {
    if (this.#closed) return;
    if (parcel.kind === 'opened') this.#client.read();
    else this.#client.deliver(parcel);
  }

  #connect(): void {
    const socket = connect({ ...this.#options.target, allowHalfOpen: true, noDelay: true });
    this.#target = new End(socket, this.#down, this.#up, this.#options, () => this.#settle());
    socket.once('connect', () => {
      this.#send(this.#down, { kind: 'opened' });
      this.#target?.read();
    });
  }

  #settle(): void {
    if (this.#client.socket.closed && this.#target?.socket.closed) this.#finish();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClosed();
  }
}

/** One of a connection's two sockets: what it reads leaves on one flow, what it writes came over the other. */
class End {
  readonly socket: Socket;
  readonly #incoming: Flow;
  readonly #options: ConnectionOptions;
  #held = false;
  #reading = false;
  #corked = false;
  #busy = false;

  constructor(socket: Socket, outgoing: Flow, incoming: Flow, options: ConnectionOptions, onClosed: () => void) {
    this.socket = socket;
    this.#incoming = incoming;
    this.#options = options;
    const send = (parcel: Parcel) => {
      outgoing.send(parcel, options.arrivedMs());
      options.pump();
    };
    let ended = false;
    socket.on('end', () => {
      ended = true;
      send({ kind: 'end' });
    });
    // 'close' follows every error and tells the other side.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!ended || !socket.writableFinished) send({ kind: 'reset' });
      onClosed();
    });
    socket.on('drain', () => {
      if (!this.#busy) return;
      this.#busy = false;
      this.#incoming.receiver(false, options.nowMs());
      options.pump();
    });
    this.#onData = (data) => send({ kind: 'data', data });
  }

  readonly #onData: (data: Buffer) => void;

  /** Begins to read. */
  read(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.socket.on('data', this.#onData);
    if (this.#held) this.socket.pause();
    else this.socket.resume();
  }

  hold(held: boolean): void {
    this.#held = held;
    if (!this.#reading) return;
    if (held) this.socket.pause();
    else this.socket.resume();
  }

  deliver(parcel: Parcel): void {
    const { socket } = this;
    if (parcel.kind === 'reset') {
      this.flush();
      reset(socket);
      return;
    }
    if (socket.destroyed || socket.writableEnded) return;
    if (parcel.kind === 'end') {
      socket.end();
    } else if (parcel.kind === 'data') {
      if (!this.#corked) {
        this.#corked = true;
        socket.cork();
      }
      socket.write(parcel.data);
    }
  }

  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.socket.uncork();
    if (this.#busy || this.socket.writableLength < RECEIVER_HIGH_BYTES) return;
    this.#busy = true;
    this.#incoming.receiver(true, this.#options.nowMs());
  }
}

/**
 * Breaks a connection off with RST and nothing before it. Node's own `resetAndDestroy` ends the stream first, so that the
 * peer sees a proper end (FIN) when it reads in time; the flag that it sets means a reset alone. An end that is still on its
 * way to the kernel cannot be taken back, and libuv refuses to try.
 */
function reset(socket: Socket): void {
  const ending = socket.writableEnded && !socket.writableFinished;
  if (!ending) (socket as Socket & { resetAndClosing: boolean }).resetAndClosing = true;
  socket.destroy();
}
