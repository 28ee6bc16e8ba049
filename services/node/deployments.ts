import { TierbedError } from '../../base/errors.js';
import type { LinkEncoding } from '../../onnx/encodings/link-encoding.js';
import type { TensorInfo } from '../../onnx/runtime/tensors.js';
import type { ExitRule } from '../../workloads/exit-rule.js';
import type { PostprocessSpec, PreprocessSpec } from '../../workloads/types.js';
import type { ThreadChoice } from './cgroup.js';
import { toMs } from './clock.js';
import type { FailurePolicy } from './failure-policy.js';
import type { NextHops, NextStage } from './next-hops.js';
import type { WorkQueue } from './queue.js';
import { Sessions, sessionSpec } from './sessions.js';
import type { Store, StoredModelFile } from './store.js';
import type { InferenceWorker } from './worker-client.js';
import type { SessionSpec } from './worker-messages.js';

/** What is to answer under a name. */
export interface DeploySpec {
  readonly name: string;
  /** In the store; the first is the model. Without files and without `modelPath` the node forwards only. */
  readonly files: readonly StoredModelFile[];
  /** A model on this machine's own disk, used where it lies, in place of `files`. */
  readonly modelPath?: string | undefined;
  readonly mode: 'warm' | 'cold';
  readonly warmupRuns: number;
  /** '' is the node's own. */
  readonly engine: string;
  /** 0 is the node's own. */
  readonly threads: number;
  readonly next?: { readonly address: string; readonly deployment: string } | undefined;
  readonly preprocess?: PreprocessSpec | undefined;
  readonly postprocess?: PostprocessSpec | undefined;
  /** How the outputs are encoded on their way to the next stage; absent: they go as they are. */
  readonly encode?: LinkEncoding | undefined;
  /** The inputs arrive encoded. */
  readonly decode?: boolean | undefined;
  /** When a request ends at this stage; absent: every one goes on. */
  readonly exit?: ExitRule | undefined;
  readonly graphOptimization: boolean;
  /** What is done when the next stage's node does not answer: nothing when absent. */
  readonly failure?: FailurePolicy | undefined;
  /** The stages behind this node, held in reserve for a policy that runs them here. */
  readonly fallback?: readonly LocalStageSpec[];
  /** Stages that always run on this node, behind its own: it is the last then. */
  readonly behind?: readonly LocalStageSpec[];
}

/** A stage beside the deployment's own. */
export interface LocalStageSpec {
  readonly files: readonly StoredModelFile[];
  readonly preprocess?: PreprocessSpec | undefined;
  readonly encode?: LinkEncoding | undefined;
  readonly decode?: boolean | undefined;
  readonly exit?: ExitRule | undefined;
}

/** What deploying took and chose. */
export interface DeployReport {
  readonly engine: string;
  readonly threads: number;
  readonly threadsReason: string;
  readonly loadMs: number;
  readonly warmupMs: number;
}

/** A name that answers. */
export interface Deployment {
  readonly spec: DeploySpec;
  readonly stage: DeployedStage | undefined;
  readonly next: NextStage | undefined;
  /** The stages behind this node, in order; empty unless they are held here. */
  readonly fallback: readonly RunnableStage[];
  /** The stages that run here behind its own, in order. */
  readonly behind: readonly RunnableStage[];
}

/** What is run on a node's processor: a stage, with what makes its inputs of what comes, and of its outputs what goes. */
export interface RunnableStage extends Pick<DeploySpec, 'encode' | 'decode' | 'exit'> {
  readonly stage: DeployedStage | undefined;
  readonly preprocess: PreprocessSpec | undefined;
}

export interface DeployedStage {
  readonly session: SessionSpec;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

export interface NodeDefaults {
  readonly engine: string;
  /** Asked at each deployment: a container's quota can change while the node runs. */
  readonly threads: () => ThreadChoice;
}

interface Entry {
  readonly deployment: Deployment;
  running: number;
  /** Set while someone waits for the last request. */
  drained: (() => void) | undefined;
}

/** A deployed name: `entry` is undefined while it is unloaded (Triton's repository calls), and can be loaded again. */
interface Name {
  spec: DeploySpec;
  entry: Entry | undefined;
}

/** The names that a node answers to, and the sessions and connections behind them. */
export class Deployments {
  readonly #store: Store;
  readonly #worker: InferenceWorker;
  readonly #queue: WorkQueue;
  readonly #hops: NextHops;
  readonly #defaults: NodeDefaults;
  readonly #sessions: Sessions;
  readonly #names = new Map<string, Name>();
  /** The last change of each name: they are made one after the other, so that two of one name cannot cross. */
  readonly #changes = new Map<string, Promise<unknown>>();

  constructor(store: Store, worker: InferenceWorker, queue: WorkQueue, hops: NextHops, defaults: NodeDefaults) {
    this.#store = store;
    this.#worker = worker;
    this.#queue = queue;
    this.#hops = hops;
    this.#defaults = defaults;
    this.#sessions = new Sessions(worker);
  }

  /**
   * Makes `spec.name` answer. One that exists goes on answering until the new one is ready, and is ended when the
   * requests that it has are done.
   *
   * @throws TierbedError `invalid` for a model, engine or specification that does not work, `missing` for files that
   *   were not sent; what was there before stays
   */
  deploy(spec: DeploySpec): Promise<DeployReport> {
    return this.#change(spec.name, () => this.#replace(spec));
  }

  /** @throws TierbedError `missing` when there is no such name */
  undeploy(name: string): Promise<void> {
    return this.#change(name, async () => {
      const { entry } = this.#named(name);
      this.#names.delete(name);
      await this.#end(entry);
    });
  }

  /** Ends the sessions of a name and keeps the name, so that `load` can bring it back. */
  unload(name: string): Promise<void> {
    return this.#change(name, async () => {
      const known = this.#named(name);
      const { entry } = known;
      known.entry = undefined;
      await this.#end(entry);
    });
  }

  /** Makes an unloaded name answer again; one that does already is left alone. */
  load(name: string): Promise<void> {
    return this.#change(name, async () => {
      const known = this.#named(name);
      if (!known.entry) await this.#replace(known.spec);
    });
  }

  /** Every name, in the order of deployment, and whether it answers. */
  list(): readonly { readonly name: string; readonly ready: boolean }[] {
    return [...this.#names].map(([name, { entry }]) => ({ name, ready: entry !== undefined }));
  }

  /** Sessions that are kept open. */
  get sessions(): number {
    return this.#sessions.open;
  }

  /** @throws TierbedError `missing` when there is no such name, `unavailable` when it is unloaded */
  get(name: string): Deployment {
    return this.#ready(name).deployment;
  }

  /** Runs a request on a deployment, which is kept until it is done. */
  async use<T>(name: string, request: (deployment: Deployment) => Promise<T>): Promise<T> {
    const entry = this.#ready(name);
    entry.running++;
    try {
      return await request(entry.deployment);
    } finally {
      if (--entry.running === 0) entry.drained?.();
    }
  }

  /** Lets every connection to another node go. */
  close(): void {
    for (const { entry } of this.#names.values()) entry?.deployment.next?.release();
    this.#names.clear();
  }

  async #replace(spec: DeploySpec): Promise<DeployReport> {
    const { deployment, report } = await this.#prepare(spec);
    const old = this.#names.get(spec.name)?.entry;
    this.#names.set(spec.name, { spec, entry: { deployment, running: 0, drained: undefined } });
    await this.#end(old);
    return report;
  }

  async #prepare(spec: DeploySpec): Promise<{ deployment: Deployment; report: DeployReport }> {
    if (spec.name === '') throw new TierbedError('invalid', 'a deployment needs a name');
    const hasModel = spec.modelPath !== undefined || spec.files.length > 0;
    if (!hasModel && !spec.next) {
      throw new TierbedError('invalid', `deployment "${spec.name}" has neither a model nor a next stage`);
    }
    const { behind: local = [] } = spec;
    if (local.length > 0 && (spec.next || !hasModel)) {
      throw new TierbedError('invalid', `deployment "${spec.name}" has stages of its own behind no last stage`, {
        fix: 'Give `behind` to the node of the last stage alone, without `next`.',
      });
    }
    const goesOn = hasModel && (spec.next !== undefined || local.length > 0);
    if (local.at(-1)?.exit) {
      throw new TierbedError('invalid', `deployment "${spec.name}" has an exit, and no stage for what is not sure`, {
        fix: 'Give the last stage no exit: leave its exit_json out.',
      });
    }
    if (spec.encode && !(hasModel && spec.next)) {
      throw new TierbedError('invalid', `deployment "${spec.name}" encodes its outputs, and no stage takes them`, {
        fix: 'Encode what goes from one stage to the next alone: leave encode_json out.',
      });
    }
    if (spec.exit && !goesOn) {
      throw new TierbedError('invalid', `deployment "${spec.name}" has an exit, and no stage for what is not sure`, {
        fix: 'Give the last stage no exit: leave exit_json out.',
      });
    }
    const engine = spec.engine || this.#defaults.engine;
    const { threads, reason } =
      spec.threads > 0 ? { threads: spec.threads, reason: 'set for the deployment' } : this.#defaults.threads();
    const opened: DeployedStage[] = [];
    const next = spec.next && (await this.#hops.acquire(spec.next));
    try {
      let loadNs = 0;
      let warmupNs = 0;
      const open = async (part: LocalStageSpec, modelPath?: string): Promise<RunnableStage> => {
        const { preprocess, encode, decode = false, exit } = part;
        if (preprocess) await this.#queue.run(() => this.#worker.call('prepare', preprocess), { unbounded: true });
        if (modelPath === undefined && part.files.length === 0) return { stage: undefined, preprocess };
        const path = modelPath ?? (await this.#store.materialise(part.files));
        const { graphOptimization } = spec;
        const made = await this.#open(spec, sessionSpec({ modelPath: path, engine, threads, graphOptimization }));
        opened.push(made.stage);
        loadNs += made.loadNs;
        warmupNs += made.warmupNs;
        return { stage: made.stage, preprocess, encode, decode, exit };
      };
      const { stage } = await open(spec, spec.modelPath);
      const report = { engine, threads, threadsReason: reason, loadMs: toMs(loadNs), warmupMs: toMs(warmupNs) };
      const fallback: RunnableStage[] = [];
      for (const part of spec.fallback ?? []) fallback.push(await open(part));
      const behind: RunnableStage[] = [];
      for (const part of local) behind.push(await open(part));
      return { deployment: { spec, stage, next, fallback, behind }, report };
    } catch (error) {
      next?.release();
      await this.#letGo(spec, opened);
      throw prefixed(`deployment "${spec.name}"`, error);
    }
  }

  /** Opens what the session mode asks for: a session that stays, or one look at the model. */
  async #open(
    spec: DeploySpec,
    session: SessionSpec,
  ): Promise<{ stage: DeployedStage; loadNs: number; warmupNs: number }> {
    const warm = spec.mode === 'warm';
    const { inputs, outputs, loadNs } = await this.#queue.run(
      () => (warm ? this.#sessions.acquire(session) : this.#sessions.probe(session)),
      { unbounded: true },
    );
    const stage = { session, inputs, outputs };
    if (!warm || spec.warmupRuns === 0) return { stage, loadNs: warm ? loadNs : 0, warmupNs: 0 };
    try {
      const warmupNs = await this.#queue.run(
        () => this.#worker.call('warmUp', { key: session.key, runs: spec.warmupRuns }),
        { unbounded: true },
      );
      return { stage, loadNs, warmupNs };
    } catch (error) {
      await this.#sessions.release(session.key);
      throw warmupError(error);
    }
  }

  /** Waits for the requests of a deployment that no new one can reach, then lets go of what it held. */
  async #end(entry: Entry | undefined): Promise<void> {
    if (!entry) return;
    if (entry.running > 0) {
      await new Promise<void>((resolve) => {
        entry.drained = resolve;
      });
    }
    const { spec, stage, next, fallback, behind } = entry.deployment;
    next?.release();
    const stages = [stage, ...[...fallback, ...behind].map((held) => held.stage)];
    await this.#letGo(
      spec,
      stages.filter((held) => held !== undefined),
    );
  }

  /** Ends the sessions that stages kept. */
  async #letGo({ mode }: DeploySpec, stages: readonly DeployedStage[]): Promise<void> {
    if (mode !== 'warm') return;
    for (const { session } of stages) {
      await this.#queue.run(() => this.#sessions.release(session.key), { unbounded: true });
    }
  }

  #ready(name: string): Entry {
    const { entry } = this.#named(name);
    if (!entry) {
      throw new TierbedError('unavailable', `model "${name}" is unloaded`, {
        fix: 'Load it with RepositoryModelLoad.',
      });
    }
    return entry;
  }

  #named(name: string): Name {
    const known = this.#names.get(name);
    if (known) return known;
    const names = [...this.#names.keys()];
    throw new TierbedError('missing', `no model is deployed as "${name}"`, {
      fix: names.length === 0 ? 'Deploy it first.' : `Use one of: ${names.slice(0, 10).join(', ')}.`,
    });
  }

  #change<T>(name: string, change: () => Promise<T>): Promise<T> {
    const done = (this.#changes.get(name) ?? Promise.resolve()).then(change);
    const settled = done
      .catch(() => {})
      .finally(() => {
        if (this.#changes.get(name) === settled) this.#changes.delete(name);
      });
    this.#changes.set(name, settled);
    return done;
  }
}

function prefixed(prefix: string, error: unknown): unknown {
  if (!(error instanceof TierbedError)) return error;
  const fix = error.fix === undefined ? {} : { fix: error.fix };
  return new TierbedError(error.kind, `${prefix}: ${error.message}`, { ...fix, cause: error });
}

function warmupError(error: unknown): unknown {
  if (!(error instanceof TierbedError) || error.kind !== 'invalid') return error;
  return new TierbedError('invalid', `it cannot be warmed up on zeros (symbolic dimensions as 1): ${error.message}`, {
    fix: 'Deploy it with warmup_runs 0, and send a first request of a shape that the model takes.',
    cause: error,
  });
}
