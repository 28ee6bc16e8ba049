import { setTimeout as delay } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { TierbedError } from '../../base/errors.js';
import type { StreamEvents, StudyState, StudyView } from '../orchestrator/server/api.js';
import type { ApiClient } from './client.js';

/** One event of the stream of a study. */
export type StreamEvent = {
  [E in keyof StreamEvents]: { readonly event: E; readonly data: StreamEvents[E] };
}[keyof StreamEvents];

const OVER: readonly StudyState[] = ['done', 'failed', 'stopped'];

export function isOver({ state }: Pick<StudyView, 'state'>): boolean {
  return OVER.includes(state);
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** The orchestrator went away; it is asked again and again. */
  onGone?(error: TierbedError): void;
  onBack?(): void;
  /** This long without an answer, it is given up. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 600_000;
const RETRY_MS = [200, 500, 1000, 2000, 3000];

/**
 * Follows a study until it is over. The orchestrator may go away and come back in between: what was missed is asked for.
 *
 * @returns the study as it ended
 * @throws TierbedError `unavailable` when it stays away, `missing` when there is no such study, `cancelled`
 */
export async function* followStudy(
  client: ApiClient,
  id: string,
  options: FollowOptions,
): AsyncGenerator<StreamEvent, StudyView> {
  const { signal, patienceMs = PATIENCE_MS } = options;
  const cursor: { lastId?: string } = {};
  let goneSinceMs: number | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      for await (const event of readOnce(client, id, cursor, signal)) {
        if (goneSinceMs !== undefined) options.onBack?.();
        goneSinceMs = undefined;
        attempt = 0;
        yield event;
        if (event.event === 'state' && isOver(event.data)) return event.data;
      }
    } catch (error) {
      if (!(error instanceof TierbedError) || error.kind !== 'unavailable') throw error;
      if (goneSinceMs === undefined) options.onGone?.(error);
      goneSinceMs ??= performance.now();
      if (performance.now() - goneSinceMs > patienceMs) throw error;
    }
    await delay(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], undefined, { signal }).catch(() => {});
    if (signal.aborted) throw new TierbedError('cancelled', 'stopped');
  }
}

/** The events of one connection, until it ends. */
async function* readOnce(
  client: ApiClient,
  id: string,
  cursor: { lastId?: string },
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const headers = {
    accept: 'text/event-stream',
    ...(cursor.lastId !== undefined && { 'last-event-id': cursor.lastId }),
  };
  const path = `/v1/studies/${encodeURIComponent(id)}/events`;
  const response = await client.open('GET', path, { headers, signal, long: true });
  const ready: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => ready.push(event) });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) {
      parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
      for (const { id: eventId, event, data } of ready.splice(0)) {
        if (eventId !== undefined && eventId !== '') cursor.lastId = eventId;
        if (event !== undefined) yield { event, data: JSON.parse(data) } as StreamEvent;
      }
    }
  } catch (error) {
    if (error instanceof TierbedError) throw error;
    if (signal.aborted) throw new TierbedError('cancelled', 'stopped', { cause: error });
    throw new TierbedError('unavailable', 'the connection to the orchestrator broke', {
      fix: `Look whether it is there: tierbed status. The study goes on without this command: tierbed study show ${id}`,
      cause: error,
    });
  }
}
