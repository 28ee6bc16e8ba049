import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ErrorKind, TierbedError } from '../../../base/errors.js';
import type { WorkerAnswer } from '../../../services/link/worker-call.js';
import type { WorkerCalls, WorkerRequest } from './namespace-worker.js';

const WORKER = fileURLToPath(new URL('./namespace-worker.js', import.meta.url));

let made = 0;

/** One end of a pair of interfaces, in a network namespace of its own. */
export interface Side {
  readonly namespace: string;
  readonly interfaceName: string;
  readonly address: string;
}

/** Two namespaces, joined by a pair of veth interfaces; nothing else is on that wire. */
export interface Pair {
  readonly a: Side;
  readonly b: Side;
  remove(): void;
}

/** Runs a program to its end, giving what it prints. */
export function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
}

/** Runs a program in a namespace. */
export function runIn(side: Side, program: string, ...args: readonly string[]): string {
  return run('ip', 'netns', 'exec', side.namespace, program, ...args);
}

/**
 * Makes two namespaces and the wire between them. They go with `remove`, and with this process however it ends; what a
 * process left that was killed goes with the next call.
 */
export function makePair(): Pair {
  removeOrphans();
  const stem = `tb-${process.pid}-${made++}`;
  const a: Side = { namespace: `${stem}a`, interfaceName: 'link0', address: '10.98.7.1' };
  const b: Side = { namespace: `${stem}b`, interfaceName: 'link0', address: '10.98.7.2' };
  const remove = () => {
    process.removeListener('exit', remove);
    for (const { namespace } of [a, b]) removeNamespace(namespace);
  };
  process.once('exit', remove);
  try {
    for (const { namespace } of [a, b]) run('ip', 'netns', 'add', namespace);
    for (const side of [a, b]) {
      // Nothing but what a test sends is to cross the wire.
      runIn(side, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 || true');
      run('ip', '-n', side.namespace, 'link', 'set', 'lo', 'up');
    }
    const hardware = (side: Side) => `02:00:0a:62:07:0${side === a ? 1 : 2}`;
    const ends = (side: Side) => [side.interfaceName, 'address', hardware(side), 'netns', side.namespace];
    run('ip', 'link', 'add', ...ends(a), 'type', 'veth', 'peer', 'name', ...ends(b));
    for (const [side, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const ip = (...args: string[]) => run('ip', '-n', side.namespace, ...args);
      ip('address', 'add', `${side.address}/24`, 'dev', side.interfaceName);
      ip('link', 'set', side.interfaceName, 'up');
      ip('neigh', 'add', other.address, 'lladdr', hardware(other), 'dev', side.interfaceName, 'nud', 'permanent');
    }
    return { a, b, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** All that shapes or could shape in a namespace, as text to compare. */
export function snapshot(side: Side): string {
  const links = JSON.parse(run('ip', '-n', side.namespace, '-j', '-d', 'link')) as Record<string, unknown>[];
  const seen = links.map((link) => [link.ifname, link.mtu, link.qdisc, link.gso_max_segs, link.gso_max_size].join(' '));
  const rules = ['iptables-legacy', 'iptables'].flatMap((program) => {
    try {
      return [runIn(side, program, '-t', 'mangle', '-S'), runIn(side, program, '-t', 'nat', '-S')];
    } catch {
      return [];
    }
  });
  return [...seen, run('tc', '-n', side.namespace, 'qdisc'), ...rules].join('\n');
}

/** A process of Node in a namespace, which does what it is asked. */
export class NamespaceWorker {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, { resolve(result: never): void; reject(error: unknown): void }>();
  readonly #exited: Promise<void>;
  #nextId = 1;

  constructor(side: Side) {
    this.#child = spawn('ip', ['netns', 'exec', side.namespace, process.execPath, '--enable-source-maps', WORKER], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#child.on('message', (answer: WorkerAnswer) => {
      const pending = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      if (answer.ok) pending?.resolve(answer.result as never);
      else {
        const fix = answer.fix === undefined ? {} : { fix: answer.fix };
        pending?.reject(new TierbedError(answer.kind as ErrorKind, answer.message, fix));
      }
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        const error = new Error(`the worker in ${side.namespace} ended: ${signal ?? code}`);
        for (const { reject } of this.#pending.values()) reject(error);
        this.#pending.clear();
        resolve();
      });
    });
  }

  call<M extends keyof WorkerCalls>(
    method: M,
    ...args: Parameters<WorkerCalls[M]>
  ): Promise<Awaited<ReturnType<WorkerCalls[M]>>> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, method, args } satisfies WorkerRequest, (error) => {
        if (error) reject(error);
      });
    });
  }

  /** Kills it at once: it has no time to undo anything. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

function removeOrphans(): void {
  for (const name of namespaces()) {
    const pid = Number(/^tb-(\d+)-/.exec(name)?.[1]);
    if (Number.isInteger(pid) && !alive(pid)) removeNamespace(name);
  }
}

function removeNamespace(namespace: string): void {
  try {
    run('ip', 'netns', 'del', namespace);
  } catch {
    // It is not there.
  }
}

function namespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
