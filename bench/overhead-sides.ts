import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../base/paths.js';
import { float32Tensor, type NamedTensor } from '../onnx/tensor.js';
import { connect, InferenceClient } from '../services/rpc/client.js';

/** One way to have a model run. Each is a process of its own that serves the same model file with one thread. */
export interface Side {
  readonly name: string;
  /** Times of so many requests, one after the other, as their caller sees them, in ms. */
  measure(count: number): Promise<number[]>;
  /** Resident memory of the process and those below it, in MB. */
  residentMB(): Promise<number>;
  close(): Promise<void>;
}

/** A side that cannot be measured here, and why. */
export interface Absent {
  readonly name: string;
  readonly absent: string;
}

/** What every side is given. */
export interface Subject {
  readonly modelPath: string;
  readonly input: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** A folder for what a side must write. */
  readonly folder: string;
}

const READY_WITHIN_MS = 60_000;
const PYTHON = process.env.TIERBED_PEERS_PYTHON ?? join(packageRoot, '.venv', 'bin', 'python');
const PEERS = join(packageRoot, 'bench', 'peers');
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** `session.run` by itself, timed where it runs. */
export async function bareRuntime({ modelPath, shape }: Subject): Promise<Side> {
  const { child, lines } = await start(process.execPath, [here('./overhead-bare.js'), modelPath, shape.join('x')]);
  return {
    name: 'onnxruntime-node alone (session.run)',
    async measure(count) {
      child.stdin?.write(`${count}\n`);
      const [line] = (await once(lines, 'line')) as [string];
      return JSON.parse(line) as number[];
    },
    residentMB: () => residentMB(child),
    close: () => end(child),
  };
}

/** A node, asked over gRPC on loopback. */
export async function tierbedNode({ modelPath, folder, ...subject }: Subject): Promise<Side> {
  const ports = ['--data-port', '0', '--metrics-port', '0', '--control-port', '0', '--store', join(folder, 'store')];
  const settings = ['--tier', 'edge', '--threads', '1', '--engine', 'native', '--model', `model=${modelPath}`];
  const { child, ready } = await start(process.execPath, [here('../cli/main.js'), 'node', ...ports, ...settings]);
  return openInference('tierbed node (gRPC)', child, String(ready.data), subject);
}

/** MLServer with a runtime around ONNX Runtime, asked by the same client as the node. */
export async function mlserver({ modelPath, folder, ...subject }: Subject): Promise<Side | Absent> {
  const name = 'MLServer (gRPC, in-process)';
  const absent = await missingPython('mlserver');
  if (absent) return { name, absent };
  const [http, grpc, metrics] = await Promise.all([freePort(), freePort(), freePort()]);
  const settings = { http_port: http, grpc_port: grpc, metrics_port: metrics, host: '127.0.0.1', parallel_workers: 0 };
  const model = { name: 'model', implementation: 'mlserver_onnx.OnnxRuntime', parameters: { uri: modelPath } };
  await writeFile(join(folder, 'settings.json'), JSON.stringify({ ...settings, debug: false }));
  await writeFile(join(folder, 'model-settings.json'), JSON.stringify(model));
  const child = spawn(PYTHON, ['-m', 'mlserver.cli.main', 'start', folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PYTHONPATH: PEERS },
  });
  return openInference(name, child, `127.0.0.1:${grpc}`, subject);
}

/** The published study's way, with a session a request or with one that is kept. */
export async function flask(mode: 'cold' | 'warm', subject: Subject): Promise<Side | Absent> {
  const name = `Flask development server, JSON, ${mode === 'cold' ? 'session per request' : 'warm session'}`;
  const absent = await missingPython('flask, onnxruntime');
  if (absent) return { name, absent };
  const { child, ready } = await start(PYTHON, [join(PEERS, 'flask_peer.py'), subject.modelPath, '0', mode]);
  const { values, shape } = subject;
  return {
    name,
    measure: (count) =>
      timed(count, async () => {
        const input = Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
        const answer = await post(Number(ready.port), JSON.stringify({ input, shape }));
        const { output } = JSON.parse(answer) as { output: number[][] };
        if (!Array.isArray(output)) throw new Error(`Flask answered ${answer.slice(0, 200)}`);
      }),
    residentMB: () => residentMB(child),
    close: () => end(child),
  };
}

/** Any server of the Open Inference Protocol over gRPC. */
async function openInference(
  name: string,
  child: ChildProcess,
  address: string,
  { input, shape, values }: Pick<Subject, 'input' | 'shape' | 'values'>,
): Promise<Side> {
  const channel = connect(address);
  const client = new InferenceClient(channel);
  const inputs: NamedTensor[] = [{ name: input, tensor: float32Tensor(shape, values) }];
  try {
    await channel.waitForReady(READY_WITHIN_MS);
    while (!(await client.modelReady('model').catch(() => false))) await sleep(100);
  } catch (error) {
    channel.close();
    await end(child);
    throw error;
  }
  return {
    name,
    measure: (count) =>
      timed(count, async () => {
        await client.infer({ modelName: 'model', parameters: new Map(), inputs });
      }),
    residentMB: () => residentMB(child),
    async close() {
      channel.close();
      await end(child);
    },
  };
}

async function timed(count: number, once: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    await once();
    times.push(performance.now() - from);
  }
  return times;
}

/** POSTs JSON over a connection of its own. */
function post(port: number, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request(
      { host: '127.0.0.1', port, path: '/infer', method: 'POST', headers, agent: new Agent({ keepAlive: false }) },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => resolve(Buffer.concat(parts).toString()));
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** Starts a process and waits for its line of JSON that says it is ready. */
async function start(
  command: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; lines: Interface; ready: Readonly<Record<string, unknown>> }> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(-2000);
  });
  const lines = createInterface(child.stdout);
  const gone = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`${args[0]} ended with ${code}: ${said}`)),
  );
  gone.catch(() => {});
  const [line] = (await Promise.race([once(lines, 'line'), gone])) as [string];
  return { child, lines, ready: JSON.parse(line) as Readonly<Record<string, unknown>> };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 5000);
  await exit;
  clearTimeout(force);
}

/** Why a Python with these modules cannot be used; undefined when it can. */
async function missingPython(modules: string): Promise<string | undefined> {
  if (!existsSync(PYTHON)) return 'not installed here: run bench/peers/setup.sh';
  const child = spawn(PYTHON, ['-c', `import ${modules}`], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0 ? undefined : `${PYTHON} cannot import ${modules}: run bench/peers/setup.sh`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** VmRSS of /proc/PID/status, in 10^6 bytes. */
async function residentMB(child: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return (Number(match?.[1]) * 1024) / 1e6;
}
