import { join } from 'node:path';
import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { GraphBuilder } from '../../onnx/build.js';
import { cutModel } from '../../onnx/cut.js';
import { trainableWeights } from '../../onnx/grad/trainable.js';
import { initializerBytes } from '../../onnx/initializer.js';
import type { Initializer, Model } from '../../onnx/model.js';
import type { LinearHead, Samples } from '../../workloads/ridge.js';
import type { Workload } from '../../workloads/types.js';
import type { OperatorContext } from '../operator.js';
import { quantisedNode } from '../quantise/graph/refuse-quantised.js';
import { nodeLabel } from '../quantise/graph/view.js';
import { crossEntropy } from '../train/cross-entropy.js';
import { keepZeros } from '../train/keep-zeros.js';
import { train } from '../train/train.js';
import type { Facts } from '../variant.js';
import { classificationOf } from './classes.js';
import { addExit, collectAt, type ExitHead, type FittedExits, samplesOf, trialsOf } from './fit.js';
import { headScores, headWeights, likeliestScale, scaled } from './heads.js';
import { exitsObjective } from './objective.js';
import type { EarlyExitOptions } from './options.js';
import type { Exit } from './place.js';

/** Exits that were trained, and the model that they are of. */
export interface TrainedExits {
  readonly model: Model;
  readonly fitted: FittedExits;
  /** Of each training, for the manifest. */
  readonly facts: Facts;
}

/** What a trained head is called in the graphs that it is trained in. */
const prefixOf = (exit: number): string => `tierbed.exit${exit}`;

/**
 * Trains the heads of exits from what was fitted in closed form: the heads alone, each behind the model's front as it is;
 * or the whole model with them, all scores at once, as in BranchyNet (arXiv:1709.01686).
 *
 * @param pruned whether zeros of the model's weights are to stay
 * @throws TierbedError `invalid` when all is to be trained of a quantised model; as `train`
 */
export async function trainExits(
  model: Model,
  exits: readonly Exit[],
  fitted: FittedExits,
  options: EarlyExitOptions,
  context: OperatorContext,
  pruned: boolean,
): Promise<TrainedExits> {
  const seed = options.train?.seed ?? 1;
  const begun = fitted.heads.map((head, i) => withHidden(head, options.hidden, seed, i));
  const all = options.trains === 'all';
  const job = { model, exits, heads: begun, options, context };
  const trained = all ? await trainAll(job, pruned) : await trainHeads(job);
  // Where the model changed, so did what its exits look at.
  const tune = all ? await collectAt(trained.model, exits, 'tuning', options, context) : fitted.tune;
  const heads = trained.heads.map((head, i) => calibrated(head, samplesOf(exits[i] as Exit, head, tune, i)));
  return {
    model: trained.model,
    fitted: { ...fitted, heads, trials: trialsOf(exits, heads, tune, options), last: tune.right, tune },
    facts: { trains: options.trains ?? 'heads', training: trained.facts },
  };
}

interface Job {
  readonly model: Model;
  readonly exits: readonly Exit[];
  readonly heads: readonly ExitHead[];
  readonly options: EarlyExitOptions;
  readonly context: OperatorContext;
}

interface Trained {
  readonly model: Model;
  readonly heads: readonly ExitHead[];
  /** By the tensor that the exit is at; or of `all`. */
  readonly facts: Readonly<Record<string, Facts>>;
}

async function trainHeads({ model, exits, heads, options, context }: Job): Promise<Trained> {
  const { workload, workDir, threads, progress, signal } = context;
  const { output } = classificationOf(workload);
  const facts: Record<string, Facts> = {};
  const trained: ExitHead[] = [];
  for (const [i, exit] of exits.entries()) {
    const head = heads[i] as ExitHead;
    const [front] = (await cutModel(model, [exit.cut.tensors])) as [Model, Model];
    const result = await train({
      model: answering(front, exit, head, i, output),
      ...{ workload, settings: options.train ?? {}, batchNorm: 'frozen', threads, progress, signal },
      objective: crossEntropy(workload, smoothing(options)),
      weights: headWeights(prefixOf(i), head.hidden !== undefined),
      folder: join(workDir, `exit-${i}`),
    });
    trained.push(headOf(result.model, head, i));
    facts[exit.tensor] = result.facts;
  }
  return { model, heads: trained, facts };
}

/** The front with the exit's head as its end, which answers as the whole model does. */
function answering(front: Model, exit: Exit, head: ExitHead, i: number, output: string): Model {
  const g = GraphBuilder.from({ ...front, graph: { ...front.graph, outputs: [] } });
  const named = g.node('Identity', [addExit(g, exit, head, prefixOf(i))], {}, output);
  g.output(named, 'float32', ['N', head.head.bias.length]);
  return g.build();
}

async function trainAll({ model, exits, heads, options, context }: Job, pruned: boolean): Promise<Trained> {
  const { workload, workDir, threads, progress, signal } = context;
  const { output } = classificationOf(workload);
  refuseQuantised(model, workload);
  const short = options.kind === 'static';
  const joint = short
    ? await cutShort(model, exits[0] as Exit, heads[0] as ExitHead, output)
    : together(model, exits, heads);
  const weights = trainableWeights(joint.model);
  const result = await train({
    model: joint.model,
    ...{ workload, settings: options.train ?? {}, batchNorm: 'batch', threads, progress, signal, weights },
    objective: exitsObjective(workload, joint.scores, smoothing(options)),
    plugins: pruned ? [keepZeros(joint.model, weights)] : [],
    folder: join(workDir, 'all'),
  });
  return {
    model: withWeightsOf(result.model, model),
    heads: heads.map((head, i) => headOf(result.model, head, i)),
    facts: { all: result.facts },
  };
}

async function cutShort(model: Model, exit: Exit, head: ExitHead, output: string) {
  const [front] = (await cutModel(model, [exit.cut.tensors])) as [Model, Model];
  return { model: answering(front, exit, head, 0, output), scores: [] };
}

/** The model with all exits' scores beside its own. */
function together(model: Model, exits: readonly Exit[], heads: readonly ExitHead[]) {
  const g = GraphBuilder.from(model);
  const scores = exits.map((exit, i) => {
    const head = heads[i] as ExitHead;
    return g.output(addExit(g, exit, head, prefixOf(i)), 'float32', ['N', head.head.bias.length]);
  });
  return { model: g.build(), scores };
}

/** The model with weights, and running statistics, of another that has those of its names. */
function withWeightsOf(trained: Model, model: Model): Model {
  const found = new Map(trained.graph.initializers.map((each) => [each.name, each]));
  const initializers = model.graph.initializers.map((each): Initializer => found.get(each.name) ?? each);
  return { ...model, graph: { ...model.graph, initializers } };
}

function headOf(trained: Model, head: ExitHead, i: number): ExitHead {
  const prefix = prefixOf(i);
  const { lambda: _, ...rest } = head;
  return {
    ...rest,
    head: linearOf(trained, prefix),
    ...(head.hidden && { hidden: linearOf(trained, `${prefix}.hidden`) }),
  };
}

function linearOf({ graph }: Model, prefix: string): LinearHead {
  const numbers = (name: string): Float64Array => {
    const found = graph.initializers.find((each) => each.name === name);
    if (!found) throw new TierbedError('internal', `the trained model has no ${name}`);
    return Float64Array.from(new Float32Array(new Uint8Array(initializerBytes(found)).buffer));
  };
  return { weights: numbers(`${prefix}.weight`), bias: numbers(`${prefix}.bias`) };
}

/**
 * A head with a layer before it, random where a linear one began as it was fitted: uniform, keeping the variance behind
 * a Relu (He et al., ICCV 2015, arXiv:1502.01852).
 */
function withHidden(head: ExitHead, units: number | undefined, seed: number, exit: number): ExitHead {
  if (units === undefined) return head;
  const random = new Random(seed).fork(`exit ${exit}`);
  const drawn = (rows: number, columns: number): LinearHead => {
    const bound = Math.sqrt(6 / columns);
    const weights = Float64Array.from({ length: rows * columns }, () => random.uniform(-bound, bound));
    return { weights, bias: new Float64Array(rows) };
  };
  return { ...head, hidden: drawn(units, head.form.count), head: drawn(head.head.bias.length, units) };
}

/** A head whose scores are as likely as can be on the tuning items, and how often it is right there. */
function calibrated(head: ExitHead, tune: Samples): ExitHead {
  const scores = headScores(head, tune);
  const classes = head.head.bias.length;
  const scale = likeliestScale(scores, tune.classes, classes);
  const right = tune.classes.filter((own, row) => {
    const logits = scores.subarray(row * classes, (row + 1) * classes);
    return logits.indexOf(Math.max(...logits)) === own;
  }).length;
  return { ...head, head: scaled(head.head, scale), accuracy: right / tune.classes.length };
}

function smoothing({ train: settings }: EarlyExitOptions) {
  return settings?.labelSmoothing === undefined ? {} : { labelSmoothing: settings.labelSmoothing };
}

function refuseQuantised(model: Model, workload: Workload): void {
  const node = quantisedNode(model);
  if (!node) return;
  throw new TierbedError(
    'invalid',
    `early-exit: the model of ${workload.name} is quantised (${nodeLabel(node)} is a ${node.opType}), and \`trains: all\` trains its weights`,
    { fix: 'Train the heads alone (`trains: heads`).' },
  );
}
