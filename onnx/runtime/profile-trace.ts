import { TierbedError } from '../../base/errors.js';

/** Element type, as the runtime names it (`float`, `uint8`...), and shape of a tensor that a node read or wrote. */
export interface TypedShape {
  readonly type: string;
  readonly shape: readonly number[];
}

/** One execution of one node. */
export interface NodeEvent {
  readonly name: string;
  /** Without its domain. */
  readonly opType: string;
  readonly provider: string;
  /** What it took by itself: nodes of its subgraphs are left out, as they have events of their own. */
  readonly ownUs: number;
  /** In their order; inputs that are left out have no place. */
  readonly reads: readonly TypedShape[];
  readonly writes: readonly TypedShape[];
  /** How long the calling thread waited for the others to end their share; 0 with one thread. */
  readonly waitUs: number;
}

/** One run of the model. */
export interface TracedRun {
  /** The runtime's own time for the run, whole microseconds as all others. */
  readonly us: number;
  /** In the order in which nodes ended. */
  readonly nodes: readonly NodeEvent[];
}

/** An event of the Trace Event Format, as ONNX Runtime writes it. Times are whole microseconds. */
interface TraceEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

const KERNEL_SUFFIX = '_kernel_time';

/**
 * The runs in a profile of ONNX Runtime: a JSON array in the Trace Event Format. Each run is an event `model_run` that
 * spans those of its nodes (`NAME_kernel_time`).
 *
 * @throws TierbedError `invalid` when it is not such a file
 */
export function parseTrace(text: string): readonly TracedRun[] {
  let events: unknown;
  try {
    events = JSON.parse(text);
  } catch (cause) {
    throw new TierbedError('invalid', "the runtime's profile is not JSON", { cause });
  }
  if (!Array.isArray(events)) throw new TierbedError('invalid', "the runtime's profile is not a list of events");
  const spans = (events as TraceEvent[]).filter((event) => typeof event.ts === 'number');
  const kernels = spans.filter(({ cat, name }) => cat === 'Node' && name?.endsWith(KERNEL_SUFFIX));
  return spans
    .filter(({ cat, name }) => cat === 'Session' && name === 'model_run')
    .map((run) => ({ us: run.dur ?? 0, nodes: ownEvents(kernels.filter((kernel) => isWithin(kernel, run))) }));
}

/** Operators that run a subgraph: their time spans that of its nodes. */
const HOLDS_SUBGRAPH = new Set(['If', 'Loop', 'Scan']);

function ownEvents(kernels: readonly TraceEvent[]): NodeEvent[] {
  const own = new Map(kernels.map((kernel) => [kernel, kernel.dur ?? 0]));
  const holders = kernels
    .filter((kernel) => HOLDS_SUBGRAPH.has(String(kernel.args?.op_name)))
    .sort((a, b) => (a.dur ?? 0) - (b.dur ?? 0));
  for (const kernel of kernels) {
    // The shortest that spans it is the one it runs in.
    const holder = holders.find((other) => other !== kernel && isWithin(kernel, other));
    if (holder) own.set(holder, (own.get(holder) ?? 0) - (kernel.dur ?? 0));
  }
  return kernels.map((kernel) => ({
    name: (kernel.name ?? '').slice(0, -KERNEL_SUFFIX.length),
    opType: String(kernel.args?.op_name ?? ''),
    provider: String(kernel.args?.provider ?? ''),
    ownUs: Math.max(0, own.get(kernel) ?? 0),
    reads: shapesOf(kernel.args?.input_type_shape),
    writes: shapesOf(kernel.args?.output_type_shape),
    waitUs: waited(kernel.args?.thread_scheduling_stats),
  }));
}

function isWithin(inner: TraceEvent, outer: TraceEvent): boolean {
  const [from, to] = [inner.ts ?? 0, (inner.ts ?? 0) + (inner.dur ?? 0)];
  const [start, end] = [outer.ts ?? 0, (outer.ts ?? 0) + (outer.dur ?? 0)];
  // Both are cut to whole microseconds: an inner event may end one later.
  return from >= start && to <= end + 1;
}

/** `[{"float":[1,3,224,224]}, ...]` */
function shapesOf(value: unknown): readonly TypedShape[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry) =>
    Object.entries(entry as Readonly<Record<string, readonly number[]>>).map(([type, shape]) => ({ type, shape })),
  );
}

function waited(stats: unknown): number {
  const main = (stats as { main_thread?: { Wait?: number } } | undefined)?.main_thread;
  return typeof main?.Wait === 'number' ? main.Wait : 0;
}
