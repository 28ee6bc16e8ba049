import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import { median } from '../../base/median.js';
import { subgraphs } from '../attribute.js';
import type { Graph, Model, Node } from '../model.js';
import { readModel } from '../read.js';
import { operatorName } from '../shapes/index.js';
import type { NamedTensor } from '../tensor.js';
import { acceptedInputs, type MadeUpOptions } from './made-up-inputs.js';
import { parseTrace, type TracedRun, type TypedShape } from './profile-trace.js';
import { type ModelSession, openModel } from './session.js';

/** What one node of the optimised graph took. */
export interface NodeTime {
  readonly name: string;
  /** Its operator, with the domain where that is not ai.onnx: `Conv`, `com.microsoft:QGemm`, `com.microsoft.nchwc:Conv`. */
  readonly kernel: string;
  readonly provider: string;
  /** Median over the runs; of a node in a loop, all its turns in a run. What nodes of its subgraphs took is theirs. */
  readonly ms: number;
  /** Median time that the calling thread waited for the others to end their share of it. */
  readonly waitMs: number;
  /** Tensors read and written in the last run, in order; those that are left out have no place. */
  readonly reads: readonly TypedShape[];
  readonly writes: readonly TypedShape[];
  /** The node itself; undefined where the optimised graph has none of its name and type. */
  readonly node: Node | undefined;
}

/** What all nodes of one kernel type took. */
export interface KernelTime {
  readonly kernel: string;
  readonly nodes: number;
  readonly ms: number;
}

/** Where a model's time goes. */
export interface Profile {
  /** In the order in which they ran. */
  readonly nodes: readonly NodeTime[];
  /** The slowest first. */
  readonly kernels: readonly KernelTime[];
  /** Sum of the nodes' times. */
  readonly nodesMs: number;
  /** Median of what all nodes of a run took together: more than that sum when something disturbs now this node, now that. */
  readonly busyMs: number;
  /** Median of whole runs, as the caller sees them, without profiling. */
  readonly runMs: number;
  /** The same with profiling on, which costs time. */
  readonly profiledRunMs: number;
  readonly runs: number;
  readonly threads: number;
  /** The graph that ran: what the runtime's optimisations made of the model. */
  readonly optimized: Model;
}

export interface ProfileOptions extends MadeUpOptions {
  /** Inputs of one run, or of several that take turns; made up unless given. */
  readonly inputs?: readonly (readonly NamedTensor[])[];
  /** 0, the default, is one for each processor. */
  readonly threads?: number;
  /** Measured runs, with profiling and without each; 20 unless told. */
  readonly runs?: number;
  /** Runs before these; 3 unless told. */
  readonly warmUp?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Events that the runtime keeps in one profile (kMaxNumProfilingEvents is 1 million); the rest would be lost. */
const MOST_EVENTS = 500_000;

/**
 * Runs a model with ONNX Runtime's profiler and without, in turn, and gives every node's time. Threads do not spin, as in
 * a node of the testbed.
 *
 * @throws TierbedError `invalid` when the runtime refuses the model or its inputs; `usage` as `madeUpInputs`; `cancelled`
 */
export async function profileModel(path: string, options: ProfileOptions = {}): Promise<Profile> {
  const { threads = 0, warmUp = 3, signal } = options;
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-profile-'));
  const sessions: ModelSession[] = [];
  try {
    const model = await withNodeNames(path);
    const optimizedPath = join(folder, 'optimized.onnx');
    const profiled = await openModel(model, {
      threads,
      spinning: false,
      optimizedPath,
      profilePrefix: join(folder, 'profile'),
    });
    sessions.push(profiled);
    const plain = await openModel(model, { threads, spinning: false });
    sessions.push(plain);
    const optimized = await readModel(optimizedPath);
    const inputs = options.inputs?.length ? options.inputs : [await acceptedInputs(plain, options)];
    const runs = Math.max(
      1,
      Math.min(options.runs ?? 20, Math.floor(MOST_EVENTS / nodeCount(optimized.graph)) - warmUp),
    );
    const times = { plain: [] as number[], profiled: [] as number[] };
    for (let i = 0; i < warmUp + runs; i++) {
      if (signal?.aborted) throw new TierbedError('cancelled', `profiling ${path} was cancelled`);
      const given = inputs[i % inputs.length] as readonly NamedTensor[];
      // In turn, and each first as often as the other: what else the machine does meets both.
      const both = [timed(plain, given, times.plain), timed(profiled, given, times.profiled)];
      for (const run of i % 2 === 0 ? both : both.reverse()) await run();
    }
    profiled.endProfile();
    const measured = (await readTrace(folder)).slice(warmUp);
    const nodes = nodeTimes(measured, optimized);
    return {
      nodes,
      kernels: kernelTimes(nodes),
      nodesMs: total(nodes),
      busyMs: median(measured.map((run) => run.nodes.reduce((sum, { ownUs }) => sum + ownUs, 0))) / 1000,
      runMs: median(times.plain.slice(warmUp)),
      profiledRunMs: median(times.profiled.slice(warmUp)),
      runs,
      threads,
      optimized,
    };
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Nodes by the kernel they ran on, the slowest first. */
export function kernelTimes(nodes: readonly NodeTime[]): readonly KernelTime[] {
  const groups = new Map<string, NodeTime[]>();
  for (const node of nodes) {
    const group = groups.get(node.kernel);
    if (group) group.push(node);
    else groups.set(node.kernel, [node]);
  }
  return [...groups]
    .map(([kernel, group]) => ({ kernel, nodes: group.length, ms: total(group) }))
    .sort((a, b) => b.ms - a.ms);
}

function timed(session: ModelSession, inputs: readonly NamedTensor[], times: number[]): () => Promise<void> {
  return async () => {
    const startMs = performance.now();
    await session.run(inputs);
    times.push(performance.now() - startMs);
  };
}

/** Events are found by their nodes' names: a model whose nodes lack names, or share them, is given some. */
async function withNodeNames(path: string): Promise<string | Model> {
  const model = await readModel(path);
  const names = model.graph.nodes.map(({ name }) => name);
  if (!names.includes('') && new Set(names).size === names.length) return path;
  const taken = new Set(names);
  const used = new Set<string>();
  const nodes = model.graph.nodes.map((node) => {
    let name = node.name;
    if (name === '') name = node.outputs.find((output) => output !== '') ?? node.opType;
    for (let i = 1; used.has(name) || (name !== node.name && taken.has(name)); i++)
      name = `${node.name || node.opType}.${i}`;
    used.add(name);
    return name === node.name ? node : { ...node, name };
  });
  return { ...model, graph: { ...model.graph, nodes } };
}

async function readTrace(folder: string): Promise<readonly TracedRun[]> {
  const file = (await readdir(folder)).find((name) => name.endsWith('.json'));
  if (file === undefined) throw new TierbedError('internal', 'the runtime wrote no profile');
  return parseTrace(await readFile(join(folder, file), 'utf8'));
}

function nodeCount(graph: Graph): number {
  return graph.nodes.reduce((count, node) => count + 1 + subgraphs(node).reduce((n, g) => n + nodeCount(g), 0), 1);
}

function nodeTimes(runs: readonly TracedRun[], optimized: Model): readonly NodeTime[] {
  const found = nodesByName(optimized.graph);
  const times = new Map<string, { ownUs: number[]; waitUs: number[]; event: TracedRun['nodes'][number] }>();
  for (const [i, { nodes }] of runs.entries()) {
    for (const event of nodes) {
      const key = `${event.opType} ${event.name}`;
      const entry = times.get(key) ?? { ownUs: [], waitUs: [], event };
      times.set(key, entry);
      entry.event = event;
      entry.ownUs[i] = (entry.ownUs[i] ?? 0) + event.ownUs;
      entry.waitUs[i] = (entry.waitUs[i] ?? 0) + event.waitUs;
    }
  }
  // A run in which a node had no turn (a branch not taken) counts as 0.
  const medianMs = (us: readonly number[]): number => median(Array.from(runs, (_, i) => us[i] ?? 0)) / 1000;
  return [...times.values()].map(({ ownUs, waitUs, event }) => {
    const node = found.get(event.name)?.find(({ opType }) => opType === event.opType);
    return {
      name: event.name,
      kernel: node ? operatorName(node) : event.opType,
      provider: event.provider,
      ms: medianMs(ownUs),
      waitMs: medianMs(waitUs),
      reads: event.reads,
      writes: event.writes,
      node,
    };
  });
}

function nodesByName(graph: Graph, found = new Map<string, Node[]>()): ReadonlyMap<string, readonly Node[]> {
  for (const node of graph.nodes) {
    const same = found.get(node.name);
    if (same) same.push(node);
    else found.set(node.name, [node]);
    for (const inner of subgraphs(node)) nodesByName(inner, found);
  }
  return found;
}

function total(times: readonly { readonly ms: number }[]): number {
  return times.reduce((sum, { ms }) => sum + ms, 0);
}
