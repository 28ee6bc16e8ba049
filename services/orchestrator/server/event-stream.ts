import type { ServerResponse } from 'node:http';
import type { EventLog, LoggedEvent } from './event-log.js';

/** A reader that leaves this much unread is cut off: it comes back with the id of the last event that it has. */
const MAX_UNREAD_BYTES = 256 * 1024;

export interface StreamOptions {
  /** The reader's Last-Event-ID. */
  readonly lastId: string | undefined;
  /** What the reader is told first, whatever it has: how things stand. */
  readonly first: LoggedEvent;
  readonly heartbeatMs: number;
  /** Whether nothing comes after this event. */
  isLast(event: LoggedEvent): boolean;
  readonly signal: AbortSignal;
}

/** Sends the events of a log to one reader as server-sent events, until the last one, or until either side goes away. */
export function streamEvents(response: ServerResponse, log: EventLog, options: StreamOptions): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' });
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
  const events = [...log.after(options.lastId), options.first];
  for (const event of events) write(frame(event));
  if (options.isLast(options.first) || options.signal.aborted) return end();
  forget = log.listen((event) => {
    write(frame(event));
    if (options.isLast(event)) end();
  });
}

/** `data` is JSON, so that it is one line. An empty id leaves the reader's last one as it is. */
function frame({ id, event, data }: LoggedEvent): string {
  return `${id === '' ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`;
}
