import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { intAttr } from '../../onnx/attribute.js';
import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE, type Model } from '../../onnx/model.js';
import { isOnnxDomain, onnxVersion } from '../../onnx/passes/walk.js';
import { layerCounts, numbered, uniformLayer } from './layers.js';
import type { Shaped } from './match.js';
import type { AttentionSpec, PairSpec, TermSpec } from './options.js';
import { softmaxBehind } from './scores.js';

/** Two tensors that are compared. */
export interface Pair {
  readonly teacher: string;
  readonly student: string;
}

/** A learned map from the student's width to the teacher's: a weight that is trained, and not shipped. */
export interface Projection {
  /** Of its initializer. */
  readonly name: string;
  readonly dims: readonly number[];
  readonly to: number;
  /** What it begins as: uniform, keeping the variance of what it takes. */
  readonly values: Float32Array;
}

export interface HiddenPair extends Pair {
  readonly projection: Projection | undefined;
}

export interface AttentionPairs extends Pair {
  /** The tensor that the student's Softmax takes; undefined where it is not to be used. */
  readonly scores: string | undefined;
  readonly heads: { readonly student: number; readonly teacher: number };
}

/**
 * The pairs of a hidden-state term, with a projection where widths differ.
 *
 * @throws TierbedError `invalid` when a tensor is not there, or two cannot be compared
 */
export function hiddenPairs(spec: TermSpec, student: Shaped, teacher: Shaped, seed: number): readonly HiddenPair[] {
  const random = new Random(seed).fork('projections');
  return pairsOf('hidden', spec.at, () => layerPairs(student.model, teacher.model)).map((pair, index) => {
    const [own, its] = [shapeOf('hidden', student, pair.student), shapeOf('hidden', teacher, pair.teacher)];
    const axis = own.length === 4 ? 1 : own.length - 1;
    const fits = own.length >= 2 && own.length <= 4 && own.length === its.length;
    if (!fits || own.some((dim, i) => i > 0 && i !== axis && dim !== its[i])) {
      throw misfit('hidden', pair, own, its, 'Choose two that differ in their width alone.');
    }
    const [from, to] = [own[axis] as number, its[axis] as number];
    if (from === to) return { ...pair, projection: undefined };
    const name = `distill.projection.${index}`;
    const bound = Math.sqrt(3 / from);
    const values = random.fork(name).fillUniform(new Float32Array(from * to), -bound, bound);
    return { ...pair, projection: { name, dims: own.length === 4 ? [to, from, 1, 1] : [from, to], to, values } };
  });
}

/** The pairs of an attention term. @throws TierbedError `invalid` as `hiddenPairs` */
export function attentionPairs(spec: AttentionSpec, student: Shaped, teacher: Shaped): readonly AttentionPairs[] {
  return pairsOf('attention', spec.at, () => sharePairs(student, teacher)).map((pair) => {
    const [own, its] = [shapeOf('attention', student, pair.student), shapeOf('attention', teacher, pair.teacher)];
    if (own.length !== 4 || its.length !== 4 || own[2] !== its[2] || own[3] !== its[3]) {
      throw misfit('attention', pair, own, its, 'Choose the probabilities of two attentions, [N, heads, T, T].');
    }
    const softmax = softmaxBehind(student.model, pair.student);
    // Before version 13 a Softmax was over all axes from its own on, and is written anew when the graph is upgraded.
    const known = softmax && onnxVersion(student.model) >= 13 && [-1, 3].includes(intAttr(softmax, 'axis') ?? -1);
    return {
      ...pair,
      scores: known ? softmax.inputs[0] : undefined,
      heads: { student: own[1] as number, teacher: its[1] as number },
    };
  });
}

function pairsOf(term: 'hidden' | 'attention', at: TermSpec['at'], byLayer: () => readonly Pair[]): readonly Pair[] {
  if (typeof at !== 'string') return at.map(pairOf);
  const pairs = byLayer();
  if (pairs.length > 0) return at === 'last' ? pairs.slice(-1) : pairs;
  const missing =
    term === 'attention' ? 'attention: a Softmax of [N, heads, T, T]' : 'layers that are known by their names';
  throw new TierbedError('invalid', `distill.${term}: the two models have no ${missing}`, {
    fix: `Name the tensors: \`${term}: { at: [{ teacher: TENSOR, student: TENSOR }] }\`.`,
  });
}

function pairOf(spec: PairSpec): Pair {
  return typeof spec === 'string' ? { teacher: spec, student: spec } : spec;
}

/** What each numbered layer of the student gives, and the layer of the teacher that it is to be like. */
function layerPairs(student: Model, teacher: Model): readonly Pair[] {
  const [own, its] = [tensorsOf(student), tensorsOf(teacher)];
  const layers = (names: ReadonlySet<string>) =>
    layerCounts([...names].filter((name) => numbered(name)?.behind === ''));
  const [ownCounts, itsCounts] = [layers(own), layers(its)];
  const pairs: Pair[] = own.has(EMBEDDINGS) && its.has(EMBEDDINGS) ? [pairOf(EMBEDDINGS)] : [];
  for (const [before, count] of ownCounts) {
    const teachers = itsCounts.get(before);
    if (teachers === undefined) continue;
    for (let layer = 0; layer < count; layer++) {
      const pair = { student: `${before}${layer}`, teacher: `${before}${uniformLayer(layer, count, teachers)}` };
      if (own.has(pair.student) && its.has(pair.teacher)) pairs.push(pair);
    }
  }
  return pairs;
}

/** The zoo's name for what goes into the first layer. */
const EMBEDDINGS = 'embeddings';

/** The attentions of both models, in the order in which they run. */
function sharePairs(student: Shaped, teacher: Shaped): readonly Pair[] {
  const [own, its] = [sharesOf(student), sharesOf(teacher)];
  return own.flatMap((name, layer): Pair[] => {
    const found = its[uniformLayer(layer, own.length, its.length)];
    return found === undefined ? [] : [{ student: name, teacher: found }];
  });
}

/** What a Softmax over the last axis of [N, heads, T, T] gives. */
function sharesOf({ model, values }: Shaped): readonly string[] {
  return model.graph.nodes.flatMap(({ domain, opType, outputs }) => {
    const [name = ''] = outputs;
    const square = values.get(name)?.shape;
    const isShares = isOnnxDomain(domain) && opType === 'Softmax' && square?.length === 4 && square[2] === square[3];
    return isShares ? [name] : [];
  });
}

function tensorsOf({ graph }: Model): ReadonlySet<string> {
  return new Set(graph.nodes.flatMap(({ outputs }) => outputs));
}

function shapeOf(term: string, { values, model }: Shaped, tensor: string): readonly number[] {
  const type: TensorType | undefined = values.get(tensor);
  if (!type || !tensorsOf(model).has(tensor)) {
    const near = [...tensorsOf(model)].filter((name) => name.includes(tensor) || tensor.includes(name)).slice(0, 5);
    throw new TierbedError('invalid', `distill.${term}: there is no tensor '${tensor}' in ${model.graph.name}`, {
      fix: `Name one that 'tierbed inspect MODEL' lists${near.length > 0 ? `, such as ${near.join(', ')}` : ''}.`,
    });
  }
  if (type.dtype !== DATA_TYPE.float32 || !type.shape.every((dim): dim is number => typeof dim === 'number')) {
    throw new TierbedError('invalid', `distill.${term}: ${tensor} is no float tensor of a known shape`, {
      fix: 'Choose another tensor.',
    });
  }
  return type.shape as readonly number[];
}

function misfit(
  term: string,
  { student, teacher }: Pair,
  own: readonly number[],
  its: readonly number[],
  fix: string,
): TierbedError {
  const message = `the student's ${student} [${own.join(', ')}] cannot be compared with the teacher's ${teacher} [${its.join(', ')}]`;
  return new TierbedError('invalid', `distill.${term}: ${message}`, { fix });
}
