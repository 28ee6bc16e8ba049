import { type ErrorKind, TierbedError } from '../../base/errors.js';

interface Known {
  readonly pattern: RegExp;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly fix: string;
}

/** What Docker says when something is wrong, and what it means. The first that fits holds. */
const KNOWN: readonly Known[] = [
  {
    pattern: /permission denied.*(docker\.sock|daemon socket|docker API)/is,
    kind: 'refused',
    message: 'this user may not use the Docker socket',
    fix: 'Join the group docker (sudo usermod -aG docker $USER, then log in again), or run the command with sudo.',
  },
  {
    pattern: /cannot connect to the docker daemon|is the docker daemon running|error during connect/i,
    kind: 'unavailable',
    message: 'the Docker engine does not run',
    fix: 'Start it: sudo systemctl start docker, or Docker Desktop.',
  },
  {
    pattern: /no space left on device/i,
    kind: 'exhausted',
    message: 'the disk of the Docker engine is full',
    fix: 'Free some space, e.g. with docker system prune.',
  },
  {
    pattern: /pool overlaps|overlaps with other one/i,
    kind: 'refused',
    message: 'the addresses of the testbed are used by another Docker network',
    fix: 'Choose others: TIERBED_NET=10.204 tierbed up',
  },
  {
    pattern: /failed to solve|failed to build|returned a non-zero code|executor failed|dockerfile parse error/i,
    kind: 'invalid',
    message: 'the image of the testbed does not build',
    fix: 'Mend what the last lines say (often the network: npm and apt are used), then: tierbed up --build',
  },
  {
    pattern:
      /pull access denied|manifest unknown|failed to resolve reference|error getting credentials|no such host|i\/o timeout/i,
    kind: 'missing',
    message: 'an image cannot be fetched',
    fix: 'Look at the network, or name an image that is here, e.g. TIERBED_PROMETHEUS_IMAGE (compose.yaml lists these).',
  },
  {
    pattern: /port is already allocated|address already in use/i,
    kind: 'refused',
    message: 'a port that the testbed publishes is taken',
    fix: 'Choose others with TIERBED_API_PORT, TIERBED_PROMETHEUS_PORT or TIERBED_GRAFANA_PORT.',
  },
  {
    pattern: /unhealthy|exited \(\d+\)|dependency failed to start/i,
    kind: 'unavailable',
    message: 'a service of the testbed did not become ready',
    fix: 'See why: tierbed up --keep, tierbed status, then tierbed logs SERVICE',
  },
];

const SHOWN_LINES = 15;

/** The error that Docker's output stands for, with the last lines of it. */
export function explainDocker(what: string, output: string): TierbedError {
  const lines = output.split(/\r?\n/).filter((line) => line.trim() !== '');
  const shown = lines.slice(-SHOWN_LINES).map((line) => `\n  | ${line}`);
  const known = KNOWN.find(({ pattern }) => pattern.test(output));
  if (known) return new TierbedError(known.kind, `${known.message} (${what}):${shown.join('')}`, { fix: known.fix });
  return new TierbedError('unavailable', `${what} failed:${shown.join('') || ' it said nothing'}`, {
    fix: 'Mend what the last lines say, then try again.',
  });
}
