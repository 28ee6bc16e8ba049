import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it wrote to stderr so far. */
  stderr(): string;
}

/** Starts the `tierbed` command. */
export function tierbed(args: readonly string[], options: { env: NodeJS.ProcessEnv; cwd: string }): Started {
  const child = spawn(process.execPath, [MAIN, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }) as Ended);
  return { child, ended, stderr: () => stderr };
}

/** Starts `tierbed serve` and waits until it is ready. */
export async function serve(
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd: string },
): Promise<Started & { readonly url: string }> {
  const started = tierbed(['serve', ...args], options);
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: started.child.stdout as NonNullable<typeof started.child.stdout> }).once('line', resolve);
    void started.ended.then(({ stderr }) => reject(new Error(`serve ended: ${stderr}`)));
  });
  return { ...started, url: (JSON.parse(line) as { url: string }).url };
}
