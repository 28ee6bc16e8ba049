/** A request as it stands on the wire, before anything believes it. */
export interface GateRequest {
  readonly method: string;
  /** The request target, undecoded: `/v1.41/containers/edge/json?...`. */
  readonly target: string;
  /** Names and values by turns, as Node's `rawHeaders`. */
  readonly rawHeaders: readonly string[];
  readonly body: Uint8Array;
}

/** More than any body that is let through. */
export const MAX_BODY_BYTES = 4096;
export const MAX_HEADERS = 32;

/**
 * What clients of the Engine API, curl and Prometheus send. A list of what may come in, not of what may not: overrides of
 * the method, credentials for registries, upgrades and transfer encodings are all refused without being known.
 */
const HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'connection',
  'content-length',
  'content-type',
  'host',
  'sec-fetch-mode',
  'user-agent',
  'x-prometheus-scrape-timeout-seconds',
]);

/** Why a request is refused for its headers alone, or undefined. `hosts` are the names that the gate goes by. */
export function wrongHead(request: Omit<GateRequest, 'body'>, hosts: ReadonlySet<string>): string | undefined {
  const { rawHeaders } = request;
  if (rawHeaders.length / 2 > MAX_HEADERS) return `more than ${MAX_HEADERS} headers`;
  const headers = new Map<string, string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (!HEADERS.has(name)) return `the header ${printable(name)} is not one that the gate takes`;
    if (headers.has(name)) return `the header ${name} comes twice`;
    headers.set(name, rawHeaders[i + 1] as string);
  }
  const host = headers.get('host');
  if (host === undefined || !hosts.has(host)) return `the host ${printable(host ?? '')} is not this gate`;
  const connection = headers.get('connection') ?? 'close';
  if (!/^(?:close|keep-alive)$/i.test(connection)) return 'a connection may not become another';
  const length = headers.get('content-length') ?? '0';
  if (!/^(?:0|[1-9]\d{0,8})$/.test(length)) return 'the content length is not a plain number';
  if (Number(length) > MAX_BODY_BYTES) return `a body of more than ${MAX_BODY_BYTES} bytes`;
  return undefined;
}

/** Of what somebody sent, so much as a line of a log can bear. */
export function printable(text: string, limit = 200): string {
  const plain = text.replace(/[^\x20-\x7e]/g, '?');
  return plain.length > limit ? `${plain.slice(0, limit)}...` : plain;
}
