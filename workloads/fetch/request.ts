import { messageOf, TierbedError } from '../../base/errors.js';

export interface RequestOptions {
  /** The first byte wanted. */
  readonly from: number;
  readonly signal?: AbortSignal | undefined;
  /** A server that sends nothing for this long is given up. */
  readonly stallMs: number;
}

export interface ResponseBody {
  /** Where the bytes begin: what was asked for, or 0 from a server that gives whole files alone. */
  readonly start: number;
  /** The whole file's size, where the server says it. */
  readonly total: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

const MAX_REDIRECTS = 5;

/**
 * Asks for a file by https (by http from this machine itself alone). Redirects are followed a few times, to https alone.
 *
 * @throws TierbedError `missing`, `unavailable`, `refused` or `cancelled`; reading the body throws the latter ones as well
 */
export async function request(url: string, options: RequestOptions): Promise<ResponseBody> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted) stop.abort();
  const watch = stallWatch(stop, options.stallMs);
  const finish = (): void => {
    watch.end();
    options.signal?.removeEventListener('abort', onAbort);
  };
  const failed = (error: unknown): TierbedError => {
    if (error instanceof TierbedError) return error;
    if (options.signal?.aborted)
      return new TierbedError('cancelled', `fetching ${url} was cancelled`, { cause: error });
    const why = watch.stalled() ? `nothing came for ${options.stallMs / 1000} s` : reasonOf(error);
    return new TierbedError('unavailable', `${url} cannot be fetched: ${why}`, {
      fix: 'Check the network and run the command again, or give a folder that has the file with --mirror DIR.',
      cause: error,
    });
  };
  try {
    const response = await follow(url, options.from, stop.signal);
    const body = (async function* () {
      try {
        for await (const chunk of response.body ?? []) {
          watch.touch();
          yield chunk as Uint8Array;
        }
      } catch (error) {
        throw failed(error);
      } finally {
        finish();
        stop.abort();
      }
    })();
    return { ...rangeOf(response, options.from), body };
  } catch (error) {
    finish();
    stop.abort();
    throw failed(error);
  }
}

async function follow(first: string, from: number, signal: AbortSignal): Promise<Response> {
  // Offsets and lengths are those of the file, so it is not to be packed on the way.
  const headers = { 'accept-encoding': 'identity', ...(from > 0 && { range: `bytes=${from}-` }) };
  let url = new URL(first);
  const local = isLoopback(url);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    if (url.protocol !== 'https:' && !(local && isLoopback(url) && url.protocol === 'http:')) {
      throw new TierbedError('refused', `${first} leads to ${url.origin}, which is not https`);
    }
    const response = await fetch(url, { headers, redirect: 'manual', signal });
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location) {
      await response.body?.cancel();
      url = new URL(location, url);
      continue;
    }
    if (response.status === 200 || (response.status === 206 && from > 0)) return response;
    if (response.status === 416 && from > 0) return follow(first, 0, signal);
    throw refusal(first, response.status);
  }
  throw new TierbedError('refused', `${first} leads on more than ${MAX_REDIRECTS} times`);
}

function refusal(url: string, status: number): TierbedError {
  const kind = status === 404 || status === 410 ? 'missing' : 'unavailable';
  return new TierbedError(kind, `${url} answers with status ${status}`, {
    fix: 'Try again later, or give a folder that has the file with --mirror DIR.',
  });
}

/** From a 206, where it starts (RFC 9110, 14.4); an answer that starts elsewhere than asked is a fault of the server. */
function rangeOf(response: Response, from: number): { start: number; total: number | undefined } {
  if (response.status !== 206) {
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    return { start: 0, total: Number.isSafeInteger(length) ? length : undefined };
  }
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  if (!range || Number(range[1]) !== from) {
    throw new TierbedError(
      'unavailable',
      `the server gives '${response.headers.get('content-range')}', not from ${from}`,
    );
  }
  return { start: from, total: range[2] === '*' ? undefined : Number(range[2]) };
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Aborts when it is not touched for `ms`. */
function stallWatch(stop: AbortController, ms: number) {
  let stalled = false;
  const timer = setTimeout(() => {
    stalled = true;
    stop.abort();
  }, ms);
  return { touch: () => void timer.refresh(), end: () => clearTimeout(timer), stalled: () => stalled };
}

/** fetch's own message is 'fetch failed'; what happened is its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause ? messageOf(cause) || String((cause as NodeJS.ErrnoException).code) : messageOf(error);
}
