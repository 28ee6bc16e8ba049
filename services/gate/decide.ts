import { type CallName, type GateCall, SIGNALS, type Signal } from './calls.js';
import { type FlatValue, parseFlatJson } from './flat-json.js';
import { type Capacity, parseLimits } from './limits.js';
import { PROJECT_LABEL } from './project.js';
import { type GateRequest, MAX_BODY_BYTES, printable, wrongHead } from './request.js';

/** What a decision depends on besides the request. */
export interface Circumstances {
  /** The gate's own Compose project. */
  readonly project: string;
  /** The values of `Host` that mean the gate. */
  readonly hosts: ReadonlySet<string>;
  readonly capacity: Capacity;
}

export type Decision =
  | { readonly allowed: true; readonly call: GateCall }
  | { readonly allowed: false; readonly why: string };

interface Route {
  readonly method: 'GET' | 'POST';
  /** `*` stands for a container. */
  readonly path: readonly string[];
  /** The keys that the query may have, and their values. */
  readonly query?: Readonly<Record<string, RegExp>>;
  /** Of the gate itself, not of the Engine API. */
  readonly own?: true;
}

const TRUTH = /^(?:true|false|1|0)$/;
const MAX_GRACE_S = 30;

/** All that there is. What is not in this table does not exist, whatever the engine behind the gate can do. */
const ROUTES: Readonly<Record<CallName, Route>> = {
  healthz: { method: 'GET', path: ['healthz'], own: true },
  readyz: { method: 'GET', path: ['readyz'], own: true },
  metrics: { method: 'GET', path: ['metrics'], own: true },
  ping: { method: 'GET', path: ['_ping'] },
  version: { method: 'GET', path: ['version'] },
  info: { method: 'GET', path: ['info'] },
  list: { method: 'GET', path: ['containers', 'json'], query: { all: TRUTH, filters: /^[\x21-\x7e]{1,300}$/ } },
  inspect: { method: 'GET', path: ['containers', '*', 'json'] },
  stats: { method: 'GET', path: ['containers', '*', 'stats'], query: { stream: /^(?:false|0)$/, 'one-shot': TRUTH } },
  update: { method: 'POST', path: ['containers', '*', 'update'] },
  pause: { method: 'POST', path: ['containers', '*', 'pause'] },
  unpause: { method: 'POST', path: ['containers', '*', 'unpause'] },
  start: { method: 'POST', path: ['containers', '*', 'start'] },
  restart: { method: 'POST', path: ['containers', '*', 'restart'], query: { t: /^\d{1,2}$/ } },
  kill: { method: 'POST', path: ['containers', '*', 'kill'], query: { signal: /^[A-Z]{1,16}$/ } },
};

/** A whole id, its short form (others are told by the list of the project's own), or the name of a service. */
const TARGET = /^(?:[a-f0-9]{12,64}|[a-z][a-z0-9-]{0,62})$/;

/** What a request asks for, in the gate's own words, or why it is refused. Nothing of the request is used after this. */
export function decide(request: GateRequest, circumstances: Circumstances): Decision {
  const wrong = wrongHead(request, circumstances.hosts);
  if (wrong !== undefined) return refuse(wrong);
  if (request.body.length > MAX_BODY_BYTES) return refuse(`a body of more than ${MAX_BODY_BYTES} bytes`);
  const split = splitTarget(request.target);
  if (typeof split === 'string') return refuse(split);
  const found = routeOf(request.method, split.path, split.versioned);
  if (typeof found === 'string') return refuse(found);
  const { name, route, target } = found;
  const query = parseQuery(split.query, route.query ?? {});
  if (typeof query === 'string') return refuse(query);
  if (route.method === 'GET' && request.body.length > 0) return refuse('a GET with a body');
  return callOf(name, target, query, request.body, circumstances);
}

function callOf(
  name: CallName,
  target: string,
  query: ReadonlyMap<string, string>,
  bytes: Uint8Array,
  { capacity, project }: Circumstances,
): Decision {
  const body = bytes.length === 0 ? undefined : parseFlatJson(Buffer.from(bytes).toString('latin1'));
  if (name === 'update') {
    const limits = parseLimits(body, capacity);
    return typeof limits === 'string' ? refuse(limits) : allow({ name, target, limits });
  }
  if (bytes.length > 0 && !repeats(body, query)) return refuse('the body says more than the query');
  switch (name) {
    case 'list':
      return query.has('filters') && !isOwnFilter(query.get('filters') as string, project)
        ? refuse('only the containers of this project can be listed')
        : allow({ name });
    case 'stats':
      return query.has('stream')
        ? allow({ name, target, oneShot: /^(?:true|1)$/.test(query.get('one-shot') ?? '') })
        : refuse('statistics come once: give stream=false');
    case 'restart': {
      const graceS = query.has('t') ? Number(query.get('t')) : undefined;
      return (graceS ?? 0) > MAX_GRACE_S ? refuse(`t is at most ${MAX_GRACE_S}`) : allow({ name, target, graceS });
    }
    case 'kill': {
      const signal = SIGNALS.find((known) => known === (query.get('signal') ?? 'SIGKILL')) as Signal | undefined;
      return signal ? allow({ name, target, signal }) : refuse(`signals are ${SIGNALS.join(', ')}`);
    }
    case 'inspect':
    case 'pause':
    case 'unpause':
    case 'start':
      return allow({ name, target });
    default:
      return allow({ name });
  }
}

/** dockerode sends the options of a POST twice, in the query and as a body. */
function repeats(body: ReadonlyMap<string, FlatValue> | undefined, query: ReadonlyMap<string, string>): boolean {
  return body !== undefined && [...body].every(([key, value]) => query.get(key) === String(value));
}

function isOwnFilter(encoded: string, project: string): boolean {
  const own = JSON.stringify({ label: [`${PROJECT_LABEL}=${project}`] });
  return encoded === own || encoded === encodeURIComponent(own);
}

interface SplitTarget {
  readonly path: readonly string[];
  readonly versioned: boolean;
  readonly query: string;
}

function splitTarget(target: string): SplitTarget | string {
  const [, path, query = ''] = /^(\/[^?#]*)(?:\?([^#]*))?$/.exec(target) ?? [];
  if (path === undefined) return 'the target is not a path';
  if (path.includes('%')) return 'an encoded path';
  if (!/^(?:\/[A-Za-z0-9_.-]{1,80}){1,8}$/.test(path)) return 'the path is not plain';
  const segments = path.slice(1).split('/');
  if (segments.some((segment) => segment.startsWith('.'))) return 'the path is not plain';
  const versioned = /^v1\.\d{1,2}$/.test(segments[0] as string);
  return { path: versioned ? segments.slice(1) : segments, versioned, query };
}

function routeOf(
  method: string,
  path: readonly string[],
  versioned: boolean,
): { readonly name: CallName; readonly route: Route; readonly target: string } | string {
  const entries = Object.entries(ROUTES) as [CallName, Route][];
  const matches = entries.filter(
    ([, route]) =>
      route.path.length === path.length &&
      route.path.every((segment, i) => segment === '*' || segment === path[i]) &&
      !(versioned && route.own),
  );
  if (matches.length === 0) return 'not among the calls that the gate lets through';
  const match = matches.find(([, route]) => route.method === method);
  if (!match) return `not with the method ${printable(method, 20)}`;
  const [name, route] = match;
  const target = route.path.includes('*') ? (path[1] as string) : '';
  if (route.path.includes('*') && !TARGET.test(target))
    return 'neither the id of a container nor the name of a service';
  return { name, route, target };
}

function parseQuery(query: string, allowed: Readonly<Record<string, RegExp>>): ReadonlyMap<string, string> | string {
  const values = new Map<string, string>();
  if (query === '') return values;
  for (const part of query.split('&')) {
    const [, key = '', value = ''] = /^([a-z-]{1,16})=(.*)$/s.exec(part) ?? [];
    const pattern = Object.hasOwn(allowed, key) ? allowed[key] : undefined;
    if (!pattern) return `the query has ${printable(part, 40)}`;
    if (values.has(key)) return `the query has ${key} twice`;
    if (!pattern.test(value)) return `${key} may not be ${printable(value, 40)}`;
    values.set(key, value);
  }
  return values;
}

function allow(call: GateCall): Decision {
  return { allowed: true, call };
}

function refuse(why: string): Decision {
  return { allowed: false, why };
}
