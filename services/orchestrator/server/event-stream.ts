import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { BufferedEvent, EventBuffer } from './event-buffer.js';

/** A reader that leaves this much unread is cut off: it comes back with the id of the last event that it has. */
const MAX_UNREAD_BYTES = 256 * 1024;

export interface StreamOptions {
  /** Where the events to come are published. */
  readonly buffer: EventBuffer;
  /** What the reader has not got. */
  readonly missed: readonly BufferedEvent[];
  /** What it is told then, whatever it has: how things stand. */
  readonly now: BufferedEvent;
  readonly headers: Readonly<Record<string, string | number | string[] | undefined>>;
  readonly heartbeatMs: number;
  /** Whether nothing comes after this event. */
  isLast(event: BufferedEvent): boolean;
  readonly signal: AbortSignal;
}

/** Sends events to one reader as server-sent events, until the last one, or until either side goes away. */
export function streamEvents(response: ServerResponse, options: StreamOptions): void {
  response.writeHead(200, {
    ...options.headers,
    'content-type': 'text/event-stream; charset=utf-8',
  } as OutgoingHttpHeaders);
  const write = (text: string): void => {
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
    else response.write(text);
  };
  let forget = (): void => {};
  const end = (): void => {
    forget();
    clearInterval(heartbeat);
    options.signal.removeEventListener('abort', end);
    response.end();
  };
  const heartbeat = setInterval(() => write(': alive\n\n'), options.heartbeatMs).unref();
  response.on('close', end);
  options.signal.addEventListener('abort', end, { once: true });
  write('retry: 1000\n\n');
  for (const event of options.missed) write(frame(event));
  write(frame(options.now));
  if (options.isLast(options.now) || options.signal.aborted) {
    end();
    return;
  }
  forget = options.buffer.listen((event) => {
    write(frame(event));
    if (options.isLast(event)) end();
  });
}

/** `data` is JSON, so that it is one line. An empty id leaves the reader's last one as it is. */
function frame({ id, event, data }: BufferedEvent): string {
  return `${id === '' ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`;
}
