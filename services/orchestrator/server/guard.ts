import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { HttpError } from './errors.js';

/**
 * The host of a `Host` header without its port, in lower case and without brackets; undefined when it is none.
 */
export function hostOf(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.%a-z]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '');
}

/**
 * Names that the service answers to. A page of another name that was made to lead here (DNS rebinding) sends its own
 * name, so what is not in this list is refused. Addresses of this machine need no list: nobody can rebind those.
 *
 * @param extra names that the user allows
 */
export function allowedHosts(extra: readonly string[]): ReadonlySet<string> {
  return new Set(['localhost', 'orchestrator', hostname(), ...extra].map((name) => name.toLowerCase()));
}

/** Whether a host is this service by a name in `names` or by one of this machine's own addresses. */
export function isOwnHost(host: string, names: ReadonlySet<string>): boolean {
  if (names.has(host)) return true;
  if (isIP(host) === 0) return false;
  if (host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}

/**
 * Refuses what a web page could make a browser send: requests for another host, and requests of another origin.
 *
 * @throws HttpError 403 `refused`
 */
export function checkCaller(
  headers: { readonly host?: string | undefined; readonly origin?: string | undefined },
  names: ReadonlySet<string>,
): void {
  const host = hostOf(headers.host);
  if (host === undefined || !isOwnHost(host, names)) {
    throw new HttpError(
      403,
      'refused',
      `the Host '${headers.host ?? ''}' is not this service`,
      'Use 127.0.0.1 or localhost, or start the service with --allow-host NAME.',
    );
  }
  if (headers.origin === undefined) return;
  if (headers.origin.toLowerCase() === `http://${headers.host}`.toLowerCase()) return;
  throw new HttpError(
    403,
    'refused',
    `a page of '${headers.origin}' may not use this service`,
    'Use the tierbed command or another program; web pages are kept out.',
  );
}

/**
 * Checks the bearer token in constant time.
 *
 * @throws HttpError 401 `refused`
 */
export function checkToken(authorization: string | undefined, token: string): void {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
  // Hashed, so that both are of one length: comparing says nothing about how much of it is right.
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  if (timingSafeEqual(digest(given), digest(token)) && given !== '') return;
  throw new HttpError(
    401,
    'refused',
    given === '' ? 'a token is needed' : 'the token is wrong',
    "Send 'Authorization: Bearer TOKEN' with what the file `token` in the service's state folder holds.",
  );
}
