// Network namespaces for tests: two, joined by a pair of interfaces, each with processes of its own.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { InterfaceStats } from '../../../services/link/interface-driver.js';
import type { DirectionSettings } from '../../../services/link/types.js';

/** Why namespaces cannot be made here, or undefined. */
export function namespacesMissing(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces are Linux's, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const name = `tierbed-try-${process.pid}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `cannot make a network namespace: ${error instanceof Error ? error.message : String(error)}`;
  }
}

let made = 0;

/** Two namespaces; `interfaceName` is the end of the cable in each of them. */
export class Cable {
  readonly near: string;
  readonly far: string;
  readonly interfaceName = 'eth0';
  readonly nearAddress = '10.9.8.1';
  readonly farAddress = '10.9.8.2';
  readonly #processes: ShaperProcess[] = [];

  constructor() {
    const id = `tierbed-${process.pid}-${made++}`;
    this.near = `${id}-near`;
    this.far = `${id}-far`;
    try {
      for (const [name, address] of [
        [this.near, this.nearAddress],
        [this.far, this.farAddress],
      ] as const) {
        ip('netns', 'add', name);
        inside(name, 'ip', 'link', 'set', 'lo', 'up');
        // Interfaces that talk IPv6 of themselves would be counted.
        inside(name, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
        if (name === this.far) {
          const peer = ['peer', 'name', this.interfaceName, 'netns', this.far];
          ip('link', 'add', this.interfaceName, 'netns', this.near, 'type', 'veth', ...peer);
          inside(this.near, 'ip', 'addr', 'add', `${this.nearAddress}/24`, 'dev', this.interfaceName);
          inside(this.near, 'ip', 'link', 'set', this.interfaceName, 'up');
          inside(name, 'ip', 'addr', 'add', `${address}/24`, 'dev', this.interfaceName);
          inside(name, 'ip', 'link', 'set', this.interfaceName, 'up');
        }
      }
    } catch (error) {
      this.#deleteNamespaces();
      throw error;
    }
  }

  /** A process that can shape this cable's end in the far namespace (what comes from near), or in the near one. */
  shaper(namespace = this.far, command: readonly string[] = []): ShaperProcess {
    const shaper = new ShaperProcess(namespace, this.interfaceName, command);
    this.#processes.push(shaper);
    return shaper;
  }

  async close(): Promise<void> {
    try {
      await Promise.all(this.#processes.map((shaper) => shaper.kill()));
    } finally {
      this.#deleteNamespaces();
    }
  }

  #deleteNamespaces(): void {
    for (const name of [this.near, this.far]) {
      try {
        ip('netns', 'del', name);
      } catch {
        // It was not made.
      }
    }
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

/** Runs a program in a namespace and gives what it prints. @throws if it fails */
export function inside(namespace: string, program: string, ...args: string[]): string {
  return execFileSync('ip', ['netns', 'exec', namespace, program, ...args], { stdio: 'pipe', encoding: 'utf8' });
}

interface Answer {
  readonly ok: boolean;
  readonly result: unknown;
  readonly kind: string;
  readonly message: string;
}

export class ShaperProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((line: string) => void)[] = [];
  readonly #exited: Promise<void>;
  readonly #interfaceName: string;
  #errors = '';

  /** @param command runs the process, e.g. `env PATH=/nowhere` */
  constructor(namespace: string, interfaceName: string, command: readonly string[]) {
    this.#interfaceName = interfaceName;
    const script = fileURLToPath(new URL('./interface-shaper.js', import.meta.url));
    const node = [...command, process.execPath, '--enable-source-maps', script];
    this.#child = spawn('ip', ['netns', 'exec', namespace, ...node]);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#child.stdin.on('error', () => {});
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => {
        const message = `the shaper's process ended: ${this.#errors}`;
        for (const tell of this.#waiting.splice(0)) tell(JSON.stringify({ ok: false, kind: 'defect', message }));
        resolve();
      });
    });
  }

  async call(method: string, ...args: unknown[]): Promise<unknown> {
    const line = await new Promise<string>((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${JSON.stringify([method, this.#interfaceName, ...args])}\n`);
    });
    const answer = JSON.parse(line) as Answer;
    if (!answer.ok) throw new Error(`${answer.kind}: ${answer.message}`);
    return answer.result;
  }

  open = (settings: DirectionSettings) => this.call('open', settings);
  set = (settings: DirectionSettings, blocked?: boolean) => this.call('set', settings, blocked);
  stats = () => this.call('stats') as Promise<InterfaceStats>;
  close = () => this.call('close');

  /** Sends numbered datagrams from this process's side of the cable. */
  send = (host: string, datagrams: { first?: number; count: number; wireBytes?: number; gapMs?: number }) =>
    this.call('send', host, datagrams.first ?? 0, datagrams.count, datagrams.wireBytes ?? 142, datagrams.gapMs ?? 0);

  /** Datagrams that came until `done` says so, or for long: [number, ms that it took]. */
  async arrivals(done: (arrived: readonly [number, number][]) => boolean): Promise<[number, number][]> {
    const all: [number, number][] = [];
    const deadline = performance.now() + 20_000;
    for (;;) {
      all.push(...((await this.call('arrivals')) as [number, number][]));
      if (done(all) || performance.now() > deadline) return all;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it without a chance to clean up. `ip netns exec` becomes the program that it runs, so this is the shaper. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
