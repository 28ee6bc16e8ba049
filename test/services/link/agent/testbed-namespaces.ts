// The testbed's networks without Docker: three network namespaces with the addresses that the plan wants, and an agent in
// each.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AgentTier } from '../../../../services/link/agent/plan.js';

const MAIN = fileURLToPath(new URL('../../../../cli/main.js', import.meta.url));
const TIERS = ['mobile', 'edge', 'cloud'] as const;
const HOST = { mobile: 10, edge: 20, cloud: 30 } as const;

/** The interfaces' networks: which tiers are on each. */
const NETWORKS = [
  { number: 1, tiers: ['mobile', 'edge'] },
  { number: 2, tiers: ['edge', 'cloud'] },
  { number: 3, tiers: ['mobile', 'edge', 'cloud'] },
] as const;

let made = 0;

export interface RunningAgent {
  readonly child: ChildProcess;
  readonly control: string;
  readonly metrics: string;
  readonly driver: string;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** Three tiers' namespaces joined by bridges in a fourth; the test's own process reaches their control network as the orchestrator would. */
export class TestbedNamespaces {
  readonly prefix: string;
  readonly #id: string;
  readonly #children: ChildProcess[] = [];

  constructor() {
    made++;
    this.#id = `tb${process.pid % 100_000}x${made}`;
    this.prefix = `10.${100 + (process.pid % 90)}`;
  }

  /** Makes all of it; `close` takes away what is there, also of a part. */
  open(): void {
    for (const tier of TIERS) {
      ip('netns', 'add', this.namespace(tier));
      this.inside(tier, 'ip', 'link', 'set', 'lo', 'up');
    }
    this.inside('edge', 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    // The bridges have a namespace of their own: that of the machine may filter what crosses bridges, as Docker does.
    const room = `${this.#id}-bridges`;
    ip('netns', 'add', room);
    const there = ['netns', 'exec', room, 'ip'];
    const connect = (bridge: string, outer: string, name: string, ...inNamespace: readonly string[]): void => {
      ip('link', 'add', name, ...inNamespace, 'type', 'veth', 'peer', 'name', outer, 'netns', room);
      ip(...there, 'link', 'set', outer, 'master', bridge, 'up');
    };
    for (const { number, tiers } of NETWORKS) {
      const bridge = `bridge${number}`;
      ip(...there, 'link', 'add', bridge, 'type', 'bridge');
      ip(...there, 'link', 'set', bridge, 'up');
      for (const tier of tiers) {
        const name = `eth${number}`;
        connect(bridge, `${tier}${number}`, name, 'netns', this.namespace(tier));
        this.inside(tier, 'ip', 'address', 'add', `${this.prefix}.${number}.${HOST[tier]}/24`, 'dev', name);
        this.inside(tier, 'ip', 'link', 'set', name, 'up');
      }
    }
    // The test's own process is the orchestrator.
    connect('bridge3', 'test', this.#id);
    ip('address', 'add', `${this.prefix}.3.100/24`, 'dev', this.#id);
    ip('link', 'set', this.#id, 'up');
  }

  namespace(tier: AgentTier): string {
    return `${this.#id}-${tier}`;
  }

  inside(tier: AgentTier, program: string, ...args: readonly string[]): string {
    const all = ['netns', 'exec', this.namespace(tier), program, ...args];
    return execFileSync('ip', all, { encoding: 'utf8', stdio: 'pipe', timeout: 30_000 });
  }

  /** Whether a program ended well within its own time in a tier's namespace. */
  succeeds(tier: AgentTier, program: string, ...args: readonly string[]): boolean {
    try {
      this.inside(tier, program, ...args);
      return true;
    } catch {
      return false;
    }
  }

  /** What a program printed, whether it succeeded or not. */
  outputOf(tier: AgentTier, program: string, ...args: readonly string[]): string {
    const all = ['netns', 'exec', this.namespace(tier), program, ...args];
    return spawnSync('ip', all, { encoding: 'utf8', timeout: 30_000 }).stdout;
  }

  /** Whether a program succeeded here, where the orchestrator would be. */
  succeedsHere(program: string, ...args: readonly string[]): boolean {
    return spawnSync(program, args, { stdio: 'ignore', timeout: 30_000 }).status === 0;
  }

  /** Starts a tier's agent as a user would, and waits until it is ready. */
  async agent(tier: AgentTier, ...flags: readonly string[]): Promise<RunningAgent> {
    const args = ['link-agent', '--tier', tier, '--net', this.prefix, ...flags];
    const child = this.spawn(tier, process.execPath, MAIN, ...args);
    let log = '';
    child.stderr?.on('data', (text) => {
      log += text;
    });
    const ended = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | string);
    const [line] = (await Promise.race([
      once(createInterface(child.stdout as NodeJS.ReadableStream), 'line'),
      ended.then((how) => Promise.reject(new Error(`the agent of ${tier} ended with ${how}: ${log}`))),
    ])) as [string];
    const { control, metrics, driver } = JSON.parse(line) as { control: string; metrics: string; driver: string };
    return { child, control, metrics, driver, ended };
  }

  /** Starts a program in a tier's namespace; it ends with the testbed. */
  spawn(tier: AgentTier, program: string, ...args: readonly string[]): ChildProcess {
    const all = ['netns', 'exec', this.namespace(tier), program, ...args];
    const child = spawn('ip', all, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    return child;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }),
    );
    quietly('link', 'del', this.#id);
    for (const name of [...TIERS, 'bridges']) quietly('netns', 'del', `${this.#id}-${name}`);
  }
}

/** Why this machine cannot have such a testbed, or undefined. Where everything is tested, that is a failure. */
export function whyNot(): string | undefined {
  const reason = whyNotHere();
  if (reason !== undefined && process.env.CI) throw new Error(`${reason}, and everything is to be tested here`);
  return reason;
}

function whyNotHere(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces takes root';
  const name = `tierbed-try-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return `network namespaces cannot be made here: ${error instanceof Error ? error.message : error}`;
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe', timeout: 30_000 });
}

function quietly(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    // It was not there.
  }
}
