import { composeAnswer } from './docker.js';

/** A container of the testbed. */
export interface ServiceState {
  readonly service: string;
  /** `running`, `exited`... */
  readonly state: string;
  /** `healthy`, `starting`, `unhealthy`, or '' without a check. */
  readonly health: string;
  readonly status: string;
}

/** The containers of the testbed, those that have ended among them. @throws TierbedError */
export async function composeServices(signal?: AbortSignal): Promise<ServiceState[]> {
  return parseServices(await composeAnswer(['--profile', '*', 'ps', '--all', '--format', 'json'], { signal }));
}

/** Compose answers with a list up to 2.20, with a line for each since. */
export function parseServices(text: string): ServiceState[] {
  const trimmed = text.trim();
  if (trimmed === '') return [];
  const items = trimmed.startsWith('[') ? JSON.parse(trimmed) : trimmed.split('\n').map((line) => JSON.parse(line));
  return (items as Record<string, unknown>[]).map(({ Service, State, Health, Status }) => ({
    service: String(Service),
    state: String(State ?? ''),
    health: String(Health ?? ''),
    status: String(Status ?? ''),
  }));
}
