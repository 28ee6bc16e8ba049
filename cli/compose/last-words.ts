import { compose } from './docker.js';
import { composeServices, type ServiceState } from './services.js';

/** What a service that is not as it should be said last. */
export interface LastWords {
  readonly service: string;
  readonly state: string;
  readonly lines: readonly string[];
}

/** Of so many services, so many lines. */
const SERVICES = 4;
const LINES = 20;
const SHOWN = 3;

/** What the services said last that are not ready although they were started. Never throws: it explains an error. */
export async function lastWords(signal: AbortSignal): Promise<readonly LastWords[]> {
  const services = await composeServices(signal).catch((): ServiceState[] => []);
  const words: LastWords[] = [];
  for (const { service, state, health } of services.filter(isTroubled).slice(0, SERVICES)) {
    const args = ['--profile', '*', 'logs', '--no-color', '--no-log-prefix', '--tail', String(LINES), service];
    const said = await compose(args, { signal }).catch(() => undefined);
    const lines = lastError(`${said?.stdout ?? ''}`.split(/\r?\n/).filter((line) => line.trim() !== ''));
    words.push({ service, state: state === 'running' ? health : state, lines });
  }
  return words;
}

/** A service that waits for another one (`created`) has nothing to say. */
function isTroubled({ state, health }: ServiceState): boolean {
  if (state === 'running') return health === 'unhealthy' || health === 'starting';
  return state !== 'created';
}

/** The last error of a Tierbed command and its fix; else the last line. */
export function lastError(lines: readonly string[]): readonly string[] {
  const at = lines.findLastIndex((line) => line.startsWith('tierbed: '));
  return at < 0 ? lines.slice(-1) : lines.slice(at, at + SHOWN);
}

export function wordsText(words: readonly LastWords[]): string {
  return words
    .map(({ service, state, lines }) => {
      const said = lines.length === 0 ? ['it said nothing'] : lines;
      return `\n${service} (${state}):${said.map((line) => `\n  | ${line}`).join('')}`;
    })
    .join('');
}
