import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { addAbortSignal } from 'node:stream';
import { type ChannelInterface, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { messageOf } from '../../../base/errors.js';
import { FrameDecoder } from '../frame-decoder.js';
import { FRAME_HEADER_BYTES, Gather } from '../gather.js';
import type { Http2Connection } from './connection.js';

type Call = ReturnType<ChannelInterface['createCall']>;
type Listener = Parameters<Call['start']>[1];
type Context = Parameters<Call['sendMessageWithContext']>[0];

/** setTimeout's longest. */
const MAX_TIMER_MS = 0x7fffffff;
let calls = 0;

/** One call over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md), as grpc-js's client drives it. */
export class Http2Call implements Call {
  readonly #connection: Http2Connection;
  readonly #method: string;
  /** Unix time in ms, or Infinity. */
  readonly #deadlineMs: number;
  readonly #decoder: FrameDecoder;
  readonly #number = ++calls;
  #listener: Listener | undefined;
  #stream: ClientHttp2Stream | undefined;
  /** What was asked for before there was a stream. */
  #waiting: (() => void)[] = [];
  readonly #messages: Buffer[] = [];
  #reads = 0;
  #status: StatusObject | undefined;
  #ended = false;
  #reported = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: Http2Connection, method: string, deadlineMs: number, maxMessageBytes: number) {
    this.#connection = connection;
    this.#method = method;
    this.#deadlineMs = deadlineMs;
    this.#decoder = new FrameDecoder(maxMessageBytes);
  }

  start(metadata: Metadata, listener: Listener): void {
    this.#listener = listener;
    this.#watchDeadline();
    this.#connection.session().then(
      (session) => this.#open(session, metadata),
      (error: unknown) => this.#fail(status.UNAVAILABLE, messageOf(error)),
    );
  }

  sendMessageWithContext(context: Context, message: Buffer): void {
    this.#whenOpen((stream) => writeMessage(stream, message, () => context.callback?.()));
  }

  halfClose(): void {
    this.#whenOpen((stream) => stream.end());
  }

  startRead(): void {
    this.#reads++;
    this.#deliver();
    this.#stream?.resume();
  }

  cancelWithStatus(code: status, details: string): void {
    this.#fail(code, details);
  }

  getPeer(): string {
    return this.#connection.address;
  }

  getCallNumber(): number {
    return this.#number;
  }

  setCredentials(): void {}

  getAuthContext(): null {
    return null;
  }

  #whenOpen(act: (stream: ClientHttp2Stream) => void): void {
    const run = () => {
      if (this.#stream && !this.#stream.destroyed && !this.#stream.writableEnded) act(this.#stream);
    };
    if (this.#stream) run();
    else if (!this.#status) this.#waiting.push(run);
  }

  #open(session: ClientHttp2Session, metadata: Metadata): void {
    if (this.#status) return;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(this.#headers(metadata), { endStream: false });
    } catch (error) {
      this.#fail(status.UNAVAILABLE, messageOf(error));
      return;
    }
    this.#stream = stream;
    this.#connection.use(session, 1);
    stream.on('response', (headers) => this.#onResponse(headers));
    stream.on('trailers', (headers) => this.#onTrailers(headers));
    stream.on('data', (data: Buffer) => this.#onData(data));
    stream.on('end', () => {
      this.#ended = true;
      this.#report();
    });
    // What went wrong is told by the code that the stream closes with.
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#connection.use(session, -1);
      this.#status ??= closedStatus(stream, session);
      this.#ended = true;
      this.#report();
    });
    for (const run of this.#waiting.splice(0)) run();
  }

  #headers(metadata: Metadata): http2.OutgoingHttpHeaders {
    return {
      ...metadata.toHttp2Headers(),
      ':method': 'POST',
      ':path': this.#method,
      'content-type': 'application/grpc',
      'user-agent': 'tierbed',
      te: 'trailers',
      ...(Number.isFinite(this.#deadlineMs) && { 'grpc-timeout': timeoutHeader(this.#deadlineMs - Date.now()) }),
    };
  }

  #onResponse(headers: IncomingHttpHeaders): void {
    if (headers['grpc-status'] !== undefined) {
      this.#status ??= statusOf(headers);
    } else if (Number(headers[':status']) !== 200) {
      this.#fail(status.UNAVAILABLE, `answered with HTTP status ${headers[':status']}: this is no gRPC server`);
    } else if (!this.#status) {
      this.#listener?.onReceiveMetadata(Metadata.fromHttp2Headers(headers));
    }
  }

  #onTrailers(headers: IncomingHttpHeaders): void {
    this.#status ??= statusOf(headers);
    // Nothing follows trailers: unless data still waits to be read, there is no need to wait for the stream to say so.
    if (this.#stream?.readableLength === 0) {
      this.#ended = true;
      this.#report();
    }
  }

  #onData(data: Buffer): void {
    if (this.#reported) return;
    try {
      for (const frame of this.#decoder.write(data)) {
        if (frame[0] !== 0) {
          this.#fail(status.INTERNAL, 'the peer sent a compressed message, which was not asked for');
          return;
        }
        this.#messages.push(frame.subarray(FRAME_HEADER_BYTES));
      }
    } catch (error) {
      this.#fail(status.RESOURCE_EXHAUSTED, messageOf(error));
      return;
    }
    this.#deliver();
    // A stream whose messages nobody takes is held back; one without any goes on to its end.
    if (this.#messages.length > 0) this.#stream?.pause();
  }

  #deliver(): void {
    while (this.#reads > 0 && this.#messages.length > 0 && !this.#reported) {
      this.#reads--;
      this.#listener?.onReceiveMessage(this.#messages.shift());
    }
    this.#report();
  }

  /** The call is over for this side, whatever the peer says. */
  #fail(code: status, details: string): void {
    if (this.#reported) return;
    this.#status = { code, details, metadata: new Metadata() };
    this.#ended = true;
    this.#messages.length = 0;
    this.#waiting = [];
    if (this.#stream) abandon(this.#stream);
    this.#report();
  }

  /** Tells the status once all messages were taken. */
  #report(): void {
    const final = this.#status;
    if (!final || !this.#ended || this.#reported) return;
    if (this.#messages.length > 0 && final.code === status.OK) return;
    this.#reported = true;
    clearTimeout(this.#timer);
    // Data that still comes must not hold up the connection.
    this.#stream?.resume();
    process.nextTick(() => this.#listener?.onReceiveStatus(final));
  }

  #watchDeadline(): void {
    if (!Number.isFinite(this.#deadlineMs)) return;
    const leftMs = this.#deadlineMs - Date.now();
    this.#timer = setTimeout(
      () => {
        if (Date.now() >= this.#deadlineMs) this.#fail(status.DEADLINE_EXCEEDED, 'Deadline exceeded');
        else this.#watchDeadline();
      },
      Math.min(Math.max(leftMs, 0), MAX_TIMER_MS),
    );
  }
}

/**
 * Tells the peer that the call is cancelled, and nothing else. `stream.close` ends what is sent before it resets the stream,
 * and a peer that sees the end first takes half a file for a whole one. Later, as a stream that is destroyed while its
 * session reads would not be reset.
 */
function abandon(stream: ClientHttp2Stream): void {
  setImmediate(() => addAbortSignal(AbortSignal.abort(), stream));
}

/** Writes a frame: its header, then the message's parts as they lie. They must not change until the call is over. */
function writeMessage(stream: ClientHttp2Stream, message: Buffer | Gather, done: () => void): void {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header[0] = 0;
  header.writeUInt32BE(message.byteLength, 1);
  // An empty write never finishes in Node's HTTP/2, and the stream would stay open for as long as its connection.
  const parts = (message instanceof Gather ? message.take() : [message]).filter((part) => part.byteLength > 0);
  stream.cork();
  stream.write(header, parts.length === 0 ? done : undefined);
  for (const [i, part] of parts.entries()) stream.write(part, i === parts.length - 1 ? done : undefined);
  stream.uncork();
}

/** At most eight digits and a unit (PROTOCOL-HTTP2, Timeout). */
function timeoutHeader(leftMs: number): string {
  const ms = Math.max(1, Math.ceil(leftMs));
  return ms < 1e8 ? `${ms}m` : `${Math.min(Math.ceil(ms / 1000), 99_999_999)}S`;
}

function statusOf(headers: IncomingHttpHeaders): StatusObject {
  const metadata = Metadata.fromHttp2Headers(headers);
  const code = Number(headers['grpc-status'] ?? status.UNKNOWN);
  return { code, details: decodeDetails(headers['grpc-message']), metadata };
}

function decodeDetails(text: string | string[] | undefined): string {
  const details = String(text ?? '');
  try {
    return decodeURIComponent(details);
  } catch {
    return details;
  }
}

/** What a stream that closes without a status means. */
function closedStatus(stream: ClientHttp2Stream, session: ClientHttp2Session): StatusObject {
  const { constants } = http2;
  const metadata = new Metadata();
  if (session.destroyed || session.closed)
    return { code: status.UNAVAILABLE, details: 'the connection was lost', metadata };
  switch (stream.rstCode) {
    case constants.NGHTTP2_CANCEL:
      return { code: status.CANCELLED, details: 'the peer cancelled the call', metadata };
    case constants.NGHTTP2_REFUSED_STREAM:
      return { code: status.UNAVAILABLE, details: 'the peer refused the call', metadata };
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return { code: status.RESOURCE_EXHAUSTED, details: 'the peer is out of memory or bandwidth', metadata };
    default:
      return {
        code: status.INTERNAL,
        details: `the call ended without a status (HTTP/2 code ${stream.rstCode})`,
        metadata,
      };
  }
}
