import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import type { PanelQuery } from './dashboard.js';
import { freePort } from './free-port.js';

/** How Prometheus' programs are run here: from PATH, or out of an image that Docker has. */
type Programs = { readonly from: 'path' } | { readonly from: 'image'; readonly image: string };

const IMAGES = [process.env.TIERBED_PROMETHEUS_IMAGE, 'prom/prometheus:v2.42.0', 'prom/prometheus:v3.5.0'];

let found: Programs | null | undefined;

/** Where Prometheus and promtool are, or undefined. Nothing is downloaded. */
export function prometheusPrograms(): Programs | undefined {
  found ??= runs('promtool', '--version') && runs('prometheus', '--version') ? { from: 'path' } : imageOf();
  return found ?? undefined;
}

/** What a test is skipped with; false when it can run. In a CI that has Docker it must. */
export function skipWithoutPrometheus(): string | false {
  if (prometheusPrograms() || process.env.TIERBED_DOCKER_TESTS) return false;
  return 'there is neither prometheus with promtool on the PATH nor its image; docker pull prom/prometheus:v2.42.0 gets it';
}

function imageOf(): Programs | null {
  const image = IMAGES.find((name) => name !== undefined && runs('docker', 'image', 'inspect', name));
  return image === undefined ? null : { from: 'image', image };
}

function runs(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

/** The command line of a program, and `folder` as it sees it. */
function commandLine(
  program: 'prometheus' | 'promtool',
  folder: string | undefined,
  dockerArgs: readonly string[] = [],
): { command: string; args: string[]; seen: string } {
  const programs = prometheusPrograms();
  if (!programs) throw new Error(`no ${program}: ${skipWithoutPrometheus() || 'TIERBED_DOCKER_TESTS asks for it'}`);
  if (programs.from === 'path') return { command: program, args: [], seen: folder ?? '' };
  // As the user of this process: the folders of tests are nobody else's to read.
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const mount = folder === undefined ? [] : ['--volume', `${folder}:/seen:ro`];
  const options = ['run', '--rm', '--interactive', '--user', user, ...mount, ...dockerArgs];
  return { command: 'docker', args: [...options, '--entrypoint', program, programs.image], seen: '/seen' };
}

/** Runs promtool; `FOLDER` in the arguments is `folder`. Gives what it printed and whether it was content. */
export function promtool(
  args: readonly string[],
  options: { readonly folder?: string; readonly input?: string } = {},
): Promise<{ ok: boolean; output: string }> {
  const { command, args: before, seen } = commandLine('promtool', options.folder);
  return new Promise((resolve) => {
    const all = [...before, ...args.map((arg) => arg.replace('FOLDER', seen))];
    const child = execFile(command, all, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ ok: !error, output: `${stdout}${stderr}` });
    });
    child.stdin?.end(options.input ?? '');
  });
}

/** Starts Prometheus on loopback with the configuration `FOLDER/prometheus.yml`; it ends with the test. Gives its URL. */
export async function startPrometheus(t: TestContext, folder: string): Promise<string> {
  const port = await freePort();
  const name = `tierbed-test-prometheus-${process.pid}`;
  const { command, args, seen } = commandLine('prometheus', folder, [
    ...['--name', name, '--network', 'host'],
    ...['--tmpfs', '/data:mode=1777'],
  ]);
  const inContainer = command === 'docker';
  const data = inContainer ? '/data' : await mkdtemp(join(tmpdir(), 'tierbed-prometheus-'));
  const child = spawn(
    command,
    [
      ...args,
      `--config.file=${seen}/prometheus.yml`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  t.after(async () => {
    if (inContainer) runs('docker', 'rm', '--force', name);
    else child.kill('SIGKILL');
    await exited;
    if (!inContainer) await rm(data, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 150; tries++) {
    if (child.exitCode !== null) break;
    if (
      await fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return url;
    await sleep(200);
  }
  throw new Error(`Prometheus did not start: ${log}`);
}

/** A sample of an instant query's answer. */
export interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
  /** The value as Prometheus writes it: a number, NaN, +Inf. */
  readonly value: string;
}

/** Asks one query of a Prometheus at `url`. */
export async function query(url: string, expr: string): Promise<QueryResult[]> {
  const body = new URLSearchParams({ query: expr });
  const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body });
  const answer = (await response.json()) as {
    readonly status: string;
    readonly error?: string;
    readonly data: { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] };
  };
  if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`);
  return answer.data.result.map(({ metric, value }) => ({ metric, value: value[1] }));
}

/**
 * Asks queries until each has given a value that is a number, and gives those that did not within `withinMs`.
 * It is enough that each had data once: a study goes on meanwhile.
 */
export async function withoutData(
  url: string,
  queries: readonly PanelQuery[],
  withinMs: number,
): Promise<PanelQuery[]> {
  const endMs = performance.now() + withinMs;
  let missing = [...queries];
  for (;;) {
    const still: PanelQuery[] = [];
    for (const one of missing) {
      const results = await query(url, one.expr);
      if (!results.some(({ value }) => value !== 'NaN')) still.push(one);
    }
    missing = still;
    if (missing.length === 0 || performance.now() > endMs) return missing;
    await sleep(1000);
  }
}

export interface Rule {
  readonly kind: 'record' | 'alert';
  readonly name: string;
  readonly expr: string;
}

/** The rules of a file of rules. */
export function rulesOf(yaml: string): Rule[] {
  const { groups } = parse(yaml) as { groups: { rules: { record?: string; alert?: string; expr: string }[] }[] };
  return groups.flatMap(({ rules }) =>
    rules.map(({ record, alert, expr }) => ({
      kind: record === undefined ? 'alert' : 'record',
      name: record ?? alert ?? '',
      expr,
    })),
  );
}
