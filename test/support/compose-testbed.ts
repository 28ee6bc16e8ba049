import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { packageRoot } from '../../base/paths.js';

const run = promisify(execFile);

/** Compiled `tierbed`. */
const MAIN = join(packageRoot, 'dist', 'cli', 'main.js');

/** A command that has not ended by then hangs. */
const COMMAND_MS = 600_000;

/** Programs that are not ours and measure networks: ping, iperf3, sockperf. */
const TOOLS_IMAGE = 'tierbed-tools';

export interface ComposeTestbedOptions {
  /** Compose project; containers, networks and volumes get it as a prefix. */
  readonly project: string;
  /** First half of the addresses. */
  readonly net: string;
  readonly apiPort: number;
  readonly prometheusPort: number;
  /** What the testbed's image is called; by default TIERBED_IMAGE, or `tierbed`. */
  readonly image?: string;
}

/**
 * The testbed as users bring it up: `docker compose` with the project's own compose.yaml, under names, addresses and ports
 * of its own, so that it stands beside another one.
 */
export class ComposeTestbed {
  readonly project: string;
  readonly env: NodeJS.ProcessEnv;
  readonly options: ComposeTestbedOptions;

  constructor(options: ComposeTestbedOptions) {
    this.options = options;
    this.project = options.project;
    // As on a user's machine, the commands find the testbed by its port and its containers.
    const { TIERBED_API: _api, TIERBED_TOKEN: _token, ...env } = process.env;
    this.env = {
      ...env,
      COMPOSE_PROJECT_NAME: options.project,
      TIERBED_NET: options.net,
      TIERBED_API_PORT: String(options.apiPort),
      TIERBED_PROMETHEUS_PORT: String(options.prometheusPort),
      TIERBED_IMAGE: options.image ?? process.env.TIERBED_IMAGE ?? options.project,
    };
  }

  /** What `docker compose ARGS` prints. @throws Error with its stderr when it fails */
  async compose(...args: readonly string[]): Promise<string> {
    return (await this.exec('docker', ['compose', ...args], { cwd: packageRoot })).stdout;
  }

  /** Builds, starts, and waits until every service is healthy. Gives the seconds from the end of the build. */
  async up(): Promise<number> {
    await this.compose('build');
    const startMs = performance.now();
    await this.compose('up', '--detach', '--wait', '--wait-timeout', '120');
    return (performance.now() - startMs) / 1000;
  }

  /** Takes all of it down, with its volumes. */
  async down(): Promise<void> {
    await this.compose('--profile', '*', 'down', '--volumes', '--remove-orphans', '--timeout', '5');
  }

  /** What a `tierbed` command prints, and how it ends. */
  async tierbed(
    args: readonly string[],
    options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal } = {},
  ): Promise<CommandEnd> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? packageRoot,
      env: { ...this.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
    });
    options.signal?.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const code = await new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? 1)));
    return { code, stdout, stderr };
  }

  /** As `tierbed`, for commands that must succeed; gives what they print. */
  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tierbed(args);
    if (code !== 0) throw new Error(`tierbed ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  /** As `must`, with --json; gives what it says. */
  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.must(...args, '--json')) as T;
  }

  /** Ends a service as a crash would: SIGKILL to its first process, of which Docker is not told. */
  async crash(service: string): Promise<void> {
    await this.killProcess((await this.inspect(service)).State.Pid);
  }

  /** /proc/PID/status of a process of Docker's machine. */
  async processStatus(pid: number): Promise<Readonly<Record<string, string>>> {
    const cat = ['--entrypoint', 'cat', this.env.TIERBED_IMAGE as string, `/proc/${pid}/status`];
    const { stdout } = await this.exec('docker', ['run', '--rm', '--pid', 'host', ...cat]);
    return Object.fromEntries(stdout.split('\n').flatMap((line) => [line.split(/:\s+/) as [string, string]]));
  }

  /** SIGKILL to a process of Docker's machine, which need not be this one, and may be another user's. */
  async killProcess(pid: number): Promise<void> {
    const kill = ['--entrypoint', 'bash', this.env.TIERBED_IMAGE as string, '-c', `kill -KILL ${pid}`];
    await this.exec('docker', ['run', '--rm', '--pid', 'host', '--user', 'root', ...kill]);
  }

  /** Waits until `look` gives something, and gives it. @throws Error saying what did not come */
  async eventually<T>(what: string, look: () => Promise<T | undefined | false>, withinMs = 120_000): Promise<T> {
    const endMs = performance.now() + withinMs;
    let why = '';
    for (;;) {
      try {
        const found = await look();
        if (found !== undefined && found !== false) return found;
      } catch (error) {
        why = `: ${error instanceof Error ? error.message : String(error)}`;
      }
      if (performance.now() > endMs) throw new Error(`${what} did not come within ${withinMs / 1000} s${why}`);
      await sleep(250);
    }
  }

  /** The id of a service's container, also of one that has ended. */
  async container(service: string): Promise<string> {
    const id = (await this.compose('ps', '--all', '--quiet', service)).trim();
    if (id === '') throw new Error(`there is no container of ${service}`);
    return id;
  }

  /** What `docker inspect` knows of a service's container. */
  async inspect(service: string): Promise<ContainerDetails> {
    const { stdout } = await this.exec('docker', ['inspect', await this.container(service)]);
    return (JSON.parse(stdout) as ContainerDetails[])[0] as ContainerDetails;
  }

  /** Runs a program of the tools image in the network namespace of a tier, and gives what it prints. */
  async tool(tier: string, command: readonly string[], options: { readonly timeoutMs?: number } = {}): Promise<string> {
    const network = `container:${await this.container(`${tier}-link`)}`;
    const args = ['run', '--rm', '--init', '--network', network, TOOLS_IMAGE, ...command];
    return (await this.exec('docker', args, { timeout: options.timeoutMs ?? 120_000 })).stdout;
  }

  /** Starts a program of the tools image there that goes on until `stop`. */
  async serve(tier: string, command: readonly string[]): Promise<{ stop(): Promise<void> }> {
    const network = `container:${await this.container(`${tier}-link`)}`;
    const args = ['run', '--detach', '--rm', '--init', '--network', network, TOOLS_IMAGE, ...command];
    const id = (await this.exec('docker', args)).stdout.trim();
    return {
      stop: async () => {
        await this.exec('docker', ['rm', '--force', id]).catch(() => {});
      },
    };
  }

  /** Builds the image of the tools; quick when it is there. */
  async buildTools(): Promise<void> {
    await this.exec('docker', ['build', '--quiet', '--tag', TOOLS_IMAGE, join(packageRoot, 'bench', 'tools')]);
  }

  /** Runs a program with this testbed's environment. */
  async exec(
    program: string,
    args: readonly string[],
    options: { readonly cwd?: string; readonly timeout?: number } = {},
  ): Promise<{ readonly stdout: string; readonly stderr: string }> {
    return run(program, [...args], { env: this.env, maxBuffer: 64 * 1024 * 1024, ...options });
  }
}

/** How a command ended, and what it said. */
export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The part of `docker inspect` that the tests look at. */
export interface ContainerDetails {
  readonly Id: string;
  readonly RestartCount: number;
  readonly State: {
    readonly Pid: number;
    readonly Running: boolean;
    readonly StartedAt: string;
    readonly Health?: { readonly Status: string };
  };
  readonly Config: { readonly User: string; readonly Image: string; readonly Env: readonly string[] };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly Privileged: boolean;
    readonly CapAdd: readonly string[] | null;
    readonly CapDrop: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly PidsLimit: number | null;
    readonly Binds: readonly string[] | null;
    readonly NetworkMode: string;
    readonly CpuPeriod: number;
    readonly CpuQuota: number;
    readonly Memory: number;
    readonly MemorySwap: number;
    readonly PortBindings: Readonly<Record<string, readonly { readonly HostIp: string }[]>> | null;
  };
  readonly Mounts: readonly { readonly Type: string; readonly Source: string; readonly Destination: string }[];
}
