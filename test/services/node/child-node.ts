import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './harness.js';

const MAIN = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));

/** A node in a process of its own. */
export interface ChildNode {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly dataAddress: string;
  readonly metricsAddress: string;
  readonly controlAddress: string;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals>;
  /** What it logged so far. */
  log(): string;
}

/** Runs `tierbed node` on free ports and waits until it is ready; it ends with the test. */
export async function childNode(t: TestContext, args: readonly string[]): Promise<ChildNode> {
  const ports = ['--data-port', '0', '--metrics-port', '0', '--control-port', '0'];
  const store = await temporaryFolder(t);
  const child = spawn(process.execPath, [MAIN, 'node', ...ports, '--store', store, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
  });
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = exit.then(([code, signal]) => signal ?? (code as number));
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    ended.then((how) => Promise.reject(new Error(`the node ended with ${how} before it was ready: ${log}`))),
  ])) as [string];
  const ready = JSON.parse(line) as { data: string; metrics: string; control: string; pid: number };
  return {
    child,
    pid: ready.pid,
    dataAddress: ready.data,
    metricsAddress: ready.metrics,
    controlAddress: ready.control,
    kill: (signal) => child.kill(signal),
    ended: () => ended,
    log: () => log,
  };
}
