import { TierbedError } from '../../base/errors.js';
import { dtypeOf } from '../../onnx/model.js';
import { type BertConfig, bertCuts, buildBert } from './bert.js';
import { bufferCount, type Network, type Parameter, parameterCount, type Weights } from './network.js';
import { buildResNet, type ResNetConfig, resNetCuts } from './resnet.js';
import { noWeights } from './weights.js';

/** A published network that the zoo can build. */
export interface Architecture {
  readonly name: string;
  /** What it was trained for in the study. */
  readonly task: 'imagenet' | 'mrpc';
  /** Its place in the study: an original model or the student that it is distilled into. */
  readonly role: 'original' | 'student';
  readonly paper: string;
  /** Where its weights and names are from. */
  readonly reference: string;
  /** Every set of tensors at a block's or layer's border that cuts it in two, from input to output. */
  readonly cuts: readonly (readonly string[])[];
  /** Where the study cut it; undefined where it did not. */
  readonly studyCut?: readonly string[];
  build(weights: Weights): Network;
}

const RESNET = { classes: 1000, stem: 64, imageSize: 224 };
const BERT = { family: 'bert', positions: 512, segments: 2, labels: 2, layerNormEpsilon: 1e-12, padding: 0 } as const;
const SMALL = { layers: 4, hidden: 512, heads: 8, intermediate: 2048 };
const BASE = { layers: 12, hidden: 768, heads: 12, intermediate: 3072 };

const WIDE_RESNET = 'Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016, arXiv:1605.07146';
const RESNEXT = 'Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017, arXiv:1611.05431';
const BERT_PAPER = 'Devlin et al., BERT, NAACL 2019, arXiv:1810.04805';
const COMPACT = 'Turc et al., Well-Read Students Learn Better, 2019, arXiv:1908.08962';
const ROBERTA_PAPER = 'Liu et al., RoBERTa, 2019, arXiv:1907.11692';

/** The eight networks of arXiv:2411.00907: four that it deploys, and the four that it distils them into. */
export const ARCHITECTURES: readonly Architecture[] = [
  resNet('original', WIDE_RESNET, {
    ...RESNET,
    name: 'wide_resnet101_2',
    blocks: [3, 4, 23, 3],
    groups: 1,
    widthPerGroup: 128,
  }),
  resNet('original', RESNEXT, {
    ...RESNET,
    name: 'resnext101_64x4d',
    blocks: [3, 4, 23, 3],
    groups: 64,
    widthPerGroup: 4,
  }),
  resNet('student', WIDE_RESNET, {
    ...RESNET,
    name: 'wide_resnet50_2',
    blocks: [3, 4, 6, 3],
    groups: 1,
    widthPerGroup: 128,
  }),
  resNet('student', RESNEXT, {
    ...RESNET,
    name: 'resnext50_32x4d',
    blocks: [3, 4, 6, 3],
    groups: 32,
    widthPerGroup: 4,
  }),
  bert('original', BERT_PAPER, 'Hugging Face bert-base-uncased, BertForSequenceClassification', {
    ...BERT,
    ...BASE,
    name: 'bert-base',
    vocabulary: 30522,
  }),
  bert('original', ROBERTA_PAPER, 'Hugging Face roberta-base, RobertaForSequenceClassification', {
    ...BERT,
    ...BASE,
    name: 'roberta-base',
    family: 'roberta',
    vocabulary: 50265,
    positions: 514,
    segments: 1,
    layerNormEpsilon: 1e-5,
    padding: 1,
  }),
  bert('student', COMPACT, 'Hugging Face lyeonii/bert-small, BertForSequenceClassification', {
    ...BERT,
    ...SMALL,
    name: 'bert-small',
    vocabulary: 30522,
  }),
  // A RoBERTa by its training, a BERT by its graph: segment ids, BERT's cased vocabulary and BERT's pooler.
  bert('student', ROBERTA_PAPER, 'Hugging Face haisongzhang/roberta-tiny-cased, BertForSequenceClassification', {
    ...BERT,
    ...SMALL,
    name: 'roberta-tiny',
    vocabulary: 28996,
  }),
];

/** @throws TierbedError `missing` when the zoo has no such network */
export function architecture(name: string): Architecture {
  const found = ARCHITECTURES.find((candidate) => candidate.name === name);
  if (found) return found;
  throw new TierbedError('missing', `the zoo has no network ${name}`, {
    fix: `Choose one of ${ARCHITECTURES.map((a) => a.name).join(', ')}.`,
  });
}

/** A network's parameters without their elements. */
export function parametersOf(architecture: Architecture): readonly Parameter[] {
  return architecture.build(noWeights).parameters;
}

export interface ArchitectureSummary {
  readonly name: string;
  readonly task: string;
  readonly role: string;
  /** What PyTorch's `parameters()` counts. */
  readonly parameters: number;
  /** Elements of running statistics: initializers in ONNX, not parameters. */
  readonly buffers: number;
  /** Bytes of all float32 weights. */
  readonly weightBytes: number;
  readonly inputs: readonly { name: string; dtype: string; shape: readonly (number | string)[] }[];
  readonly outputs: readonly { name: string; dtype: string; shape: readonly (number | string)[] }[];
  readonly cuts: readonly { tensors: readonly string[] }[];
  readonly studyCut: readonly string[] | null;
  readonly paper: string;
  readonly reference: string;
}

/** What `tierbed zoo list` says of a network. */
export function summarise(architecture: Architecture): ArchitectureSummary {
  const { model, parameters } = architecture.build(noWeights);
  const count = parameterCount(parameters);
  const buffers = bufferCount(parameters);
  return {
    name: architecture.name,
    task: architecture.task,
    role: architecture.role,
    parameters: count,
    buffers,
    weightBytes: 4 * (count + buffers),
    inputs: model.graph.inputs.map(signature),
    outputs: model.graph.outputs.map(signature),
    cuts: architecture.cuts.map((tensors) => ({ tensors })),
    studyCut: architecture.studyCut ?? null,
    paper: architecture.paper,
    reference: architecture.reference,
  };
}

function signature(info: Network['model']['graph']['inputs'][number]) {
  if (info.type.kind !== 'tensor') throw new TierbedError('internal', `${info.name} is not a tensor`);
  const shape = (info.type.shape ?? []).map((dim) => dim ?? '?');
  return { name: info.name, dtype: dtypeOf(info.type.elemType) ?? '?', shape };
}

function resNet(role: Architecture['role'], paper: string, config: ResNetConfig): Architecture {
  return {
    name: config.name,
    task: 'imagenet',
    role,
    paper,
    reference: `torchvision.models.${config.name}`,
    cuts: resNetCuts(config),
    ...(role === 'original' && { studyCut: ['layer3.16'] }),
    build: (weights) => buildResNet(config, weights),
  };
}

function bert(role: Architecture['role'], paper: string, reference: string, config: BertConfig): Architecture {
  return {
    name: config.name,
    task: 'mrpc',
    role,
    paper,
    reference,
    cuts: bertCuts(config),
    ...(role === 'original' && { studyCut: ['embeddings', 'attention_bias'] }),
    build: (weights) => buildBert(config, weights),
  };
}
