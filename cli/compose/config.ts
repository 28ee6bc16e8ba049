import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { COMPOSE_FILE } from '../../services/api-client/find-token.js';
import { composeAnswer } from './docker.js';

/** A port that a service publishes on this machine. */
export interface PublishedPort {
  readonly service: string;
  readonly address: string;
  readonly port: number;
  /** The variable that moves it. */
  readonly variable: string | undefined;
}

export interface ComposeConfig {
  readonly services: readonly string[];
  readonly ports: readonly PublishedPort[];
  /** What the image is called that is built here; undefined when no service builds one. */
  readonly image: string | undefined;
}

interface RawConfig {
  readonly services?: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly build?: unknown;
        readonly ports?: readonly { readonly host_ip?: string; readonly published?: string | number }[];
      }
    >
  >;
}

/** What `docker compose` makes of the testbed's file and of the environment. @throws TierbedError */
export async function composeConfig(profiles: readonly string[], signal: AbortSignal): Promise<ComposeConfig> {
  const text = await composeAnswer([...profiles, 'config', '--format', 'json'], { signal });
  const { services = {} } = JSON.parse(text) as RawConfig;
  const variables = portVariables();
  return {
    services: Object.keys(services),
    image: Object.values(services).find(({ build }) => build !== undefined)?.image,
    ports: Object.entries(services).flatMap(([service, { ports = [] }]) =>
      ports.map(({ host_ip: address = '127.0.0.1', published = 0 }) => ({
        ...{ service, address, port: Number(published), variable: variables.get(service) },
      })),
    ),
  };
}

/** `${NAME:-7070}` of each service's first port, by service: what Compose answers no longer knows it. */
function portVariables(): ReadonlyMap<string, string> {
  const { services = {} } = readComposeFile();
  return new Map(
    Object.entries(services).flatMap(([service, { ports = [] }]) => {
      const name = /\$\{(\w+)/.exec(String(ports[0] ?? ''))?.[1];
      return name === undefined ? [] : [[service, name] as const];
    }),
  );
}

function readComposeFile(): { services?: Record<string, { ports?: unknown[] }> } {
  try {
    return (parse(readFileSync(COMPOSE_FILE, 'utf8'), { merge: true }) ?? {}) as ReturnType<typeof readComposeFile>;
  } catch {
    // Only the names of variables are read from here; Compose itself says what is wrong with the file.
    return {};
  }
}
