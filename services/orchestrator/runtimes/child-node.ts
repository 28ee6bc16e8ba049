import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TierbedError } from '../../../base/errors.js';
import { connect } from '../../rpc/channel.js';
import { NodeClient } from '../../rpc/node-client.js';
import type { DescribeResponse } from '../../rpc/node-control.js';
import type { TierName, TierSettings } from '../tiers/tiers.js';
import type { TestbedNode } from './runtime.js';

/** The compiled `tierbed` command. */
const MAIN = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));

const READY_WITHIN_MS = 60_000;
/** From SIGTERM to SIGKILL. */
const ENDS_WITHIN_MS = 5_000;
/** Of what a node wrote to stderr, this much of the end is kept for errors. */
const KEPT_STDERR_CHARS = 2_000;

/**
 * glibc keeps a heap for each thread, up to eight a core, and gives little of them back: in the quickstart the edge node took
 * 137 MB with two instead of 160, at the same speed. A process cannot set this for itself.
 */
const ARENAS = '2';

/** What `tierbed node` prints when it answers. */
interface ReadyLine {
  readonly data: string;
  readonly control: string;
}

/**
 * One node as a child process. It is in a process group of its own, so that Ctrl-C reaches the orchestrator alone, and
 * ends by itself when its stdin closes, so that it never outlives the orchestrator, however that ends.
 */
export class ChildNode {
  readonly tier: TierName;
  /** Resolves with the reason when the process has ended. */
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #readyLine: Promise<ReadyLine>;
  #client: NodeClient | undefined;
  #description: DescribeResponse | undefined;
  #stderr = '';

  private constructor(tier: TierName, child: ChildProcess, client: NodeClient | undefined) {
    this.tier = tier;
    this.#client = client;
    this.#child = child;
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `exited with code ${code}`));
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_STDERR_CHARS);
    });
    this.#readyLine = new Promise((resolve) => {
      const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
      lines.on('line', (line) => {
        if (line.startsWith('{"ready":true')) resolve(JSON.parse(line) as ReadyLine);
      });
    });
  }

  /** @param before a node that ended: the new one takes its ports, and its client goes on with it */
  static spawn(tier: TierName, { engine, threads }: TierSettings, before?: ChildNode): ChildNode {
    const { dataAddress, metricsAddress } = before?.asTestbedNode().description ?? {};
    const control = before?.asTestbedNode().client.channel.address;
    const ports = [
      ...['--data-port', portOf(dataAddress)],
      ...['--metrics-port', portOf(metricsAddress)],
      ...['--control-port', portOf(control)],
    ];
    const settings = ['--tier', tier, '--engine', engine, '--threads', String(threads)];
    const child = spawn(process.execPath, [MAIN, 'node', ...settings, ...ports, '--exit-with-parent'], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? ARENAS },
    });
    // Writing to a child that is gone is no error of its own: its exit says more.
    child.stdin?.on('error', () => {});
    return new ChildNode(tier, child, before?.asTestbedNode().client);
  }

  /** Waits until the node answers. @throws TierbedError `unavailable` when it does not, `cancelled` */
  async ready(signal: AbortSignal): Promise<void> {
    const line = await this.#firstOf(signal);
    this.#client ??= new NodeClient(connect(line.control));
    await this.#client.channel.waitForReady(READY_WITHIN_MS);
    this.#description = await this.#client.describe({ signal });
  }

  async #firstOf(signal: AbortSignal): Promise<ReadyLine> {
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    const failure = (why: string): TierbedError => {
      const said = this.#stderr.trim();
      return new TierbedError('unavailable', `the ${this.tier} node did not start: ${why}${said ? `\n${said}` : ''}`);
    };
    try {
      return await Promise.race([
        this.#readyLine,
        this.exited.then((reason) => Promise.reject(failure(reason))),
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(failure(`not ready within ${READY_WITHIN_MS / 1000} s`)), READY_WITHIN_MS);
          onAbort = () => reject(new TierbedError('cancelled', 'the run was stopped'));
          signal.addEventListener('abort', onAbort, { once: true });
          if (signal.aborted) onAbort();
        }),
      ]);
    } finally {
      clearTimeout(timer);
      if (onAbort) signal.removeEventListener('abort', onAbort);
    }
  }

  get dataAddress(): string {
    return this.asTestbedNode().description.dataAddress;
  }

  asTestbedNode(): TestbedNode {
    if (!this.#client || !this.#description) throw new TierbedError('internal', `the ${this.tier} node is not ready`);
    return { tier: this.tier, client: this.#client, description: this.#description };
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends the process: asked first, then forced. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#client?.channel.close();
    // One that stands still would not hear of it.
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), ENDS_WITHIN_MS);
    await this.exited;
    clearTimeout(force);
  }
}

/** The port of `host:port`; 0, which takes a free one, without an address. */
function portOf(address: string | undefined): string {
  return address?.slice(address.lastIndexOf(':') + 1) ?? '0';
}
