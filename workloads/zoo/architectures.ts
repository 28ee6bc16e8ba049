import { TierbedError } from '../../base/errors.js';
import { dtypeOf } from '../../onnx/model.js';
import { type BertConfig, bertCuts, buildBert } from './bert.js';
import { buildMobileNet, MOBILENET_V2_GROUPS, type MobileNetConfig, mobileNetCuts } from './mobilenet.js';
import { bufferCount, type Network, type Parameter, parameterCount, type Weights } from './network.js';
import { type NetworkOptions, optionsSchema } from './options.js';
import { buildResNet, type ResNetConfig, resNetCuts } from './resnet.js';
import { buildSmallResNet, type SmallResNetConfig, smallResNetCuts } from './small-resnet.js';
import { noWeights } from './weights.js';

/** A published network that the zoo can build. */
export interface Architecture {
  readonly name: string;
  /** What it is published for. */
  readonly task: 'imagenet' | 'mrpc' | 'cifar10' | 'text';
  /** Its place in the study: an original model or the student that it is distilled into; or small enough to be trained here. */
  readonly role: 'original' | 'student' | 'small';
  readonly paper: string;
  /** Where its weights and names are from. */
  readonly reference: string;
  /** Every set of tensors at a block's or layer's border that cuts it in two, from input to output, as published. */
  readonly cuts: readonly (readonly string[])[];
  /** Where the study cut it; undefined where it did not. */
  readonly studyCut?: readonly string[];
  /** JSON Schema of what `build` takes as options. */
  readonly optionsSchema: object;
  /** @throws TierbedError `invalid` when the options do not fit each other, or have what the network does not know */
  build(weights: Weights, options?: NetworkOptions): Network;
  /** `cuts` of the network with these options. */
  cutsOf(options: NetworkOptions): readonly (readonly string[])[];
}

const RESNET = { classes: 1000, stem: 64, imageSize: 224 };
const BERT = { family: 'bert', positions: 512, segments: 2, labels: 2, layerNormEpsilon: 1e-12, padding: 0 } as const;
const SMALL_BERT = { layers: 4, hidden: 512, heads: 8, intermediate: 2048 };
const BASE = { layers: 12, hidden: 768, heads: 12, intermediate: 3072 };

const SMALL_RESNET = {
  channels: [16, 32, 64],
  classes: 10,
  imageSize: 32,
  stemStride: 1,
  shortcut: 'convolution',
} as const;

const RESNET_PAPER =
  'He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385, section 4.2';
const MOBILENET_PAPER = 'Sandler et al., MobileNetV2, CVPR 2018, arXiv:1801.04381';
const WIDE_RESNET = 'Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016, arXiv:1605.07146';
const RESNEXT = 'Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017, arXiv:1611.05431';
const BERT_PAPER = 'Devlin et al., BERT, NAACL 2019, arXiv:1810.04805';
const COMPACT = 'Turc et al., Well-Read Students Learn Better, 2019, arXiv:1908.08962';
const ROBERTA_PAPER = 'Liu et al., RoBERTa, 2019, arXiv:1907.11692';

/**
 * The eight networks of arXiv:2411.00907, four that it deploys and the four that it distils them into, and small ones
 * that can be trained on a few processors.
 */
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
    ...SMALL_BERT,
    name: 'bert-small',
    vocabulary: 30522,
  }),
  // A RoBERTa by its training, a BERT by its graph: segment ids, BERT's cased vocabulary and BERT's pooler.
  bert('student', ROBERTA_PAPER, 'Hugging Face haisongzhang/roberta-tiny-cased, BertForSequenceClassification', {
    ...BERT,
    ...SMALL_BERT,
    name: 'roberta-tiny',
    vocabulary: 28996,
  }),
  smallResNet({ ...SMALL_RESNET, name: 'resnet20', blocks: [3, 3, 3] }),
  smallResNet({ ...SMALL_RESNET, name: 'resnet32', blocks: [5, 5, 5] }),
  smallResNet({ ...SMALL_RESNET, name: 'resnet56', blocks: [9, 9, 9] }),
  mobileNet({
    ...{ name: 'mobilenet_v2', classes: 1000, imageSize: 224, width: 1, stemStride: 2 },
    groups: MOBILENET_V2_GROUPS,
  }),
  bert('small', COMPACT, 'Hugging Face google/bert_uncased_L-4_H-256_A-4, BertForSequenceClassification', {
    ...BERT,
    ...{ name: 'bert-mini', vocabulary: 30522, layers: 4, hidden: 256, heads: 4, intermediate: 1024 },
  }),
  bert('small', COMPACT, 'Hugging Face google/bert_uncased_L-2_H-128_A-2, BertForSequenceClassification', {
    ...BERT,
    ...{ name: 'bert-tiny', vocabulary: 30522, layers: 2, hidden: 128, heads: 2, intermediate: 512 },
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
export function parametersOf(architecture: Architecture, options?: NetworkOptions): readonly Parameter[] {
  return architecture.build(noWeights, options).parameters;
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

/** A network of a family: what is not among its options is refused. */
function of<Config extends object>(
  beside: Pick<Architecture, 'task' | 'role' | 'paper' | 'reference' | 'studyCut'>,
  published: Config & { readonly name: string },
  family: {
    readonly options: readonly (keyof NetworkOptions)[];
    /** The configuration with the options in their places. */
    readonly chosen: (published: Config, options: NetworkOptions) => Config;
    readonly cuts: (config: Config) => string[][];
    readonly build: (config: Config, weights: Weights) => Network;
  },
): Architecture {
  const { name } = published;
  const chosen = (options: NetworkOptions): Config => {
    const unknown = Object.keys(options).filter((key) => !family.options.includes(key as keyof NetworkOptions));
    if (unknown.length > 0) {
      throw new TierbedError('invalid', `${name} has no option ${unknown.join(', ')}`, {
        fix: `It has ${family.options.join(', ')}.`,
      });
    }
    const config = family.chosen(published, options);
    checkConfig(name, config);
    return config;
  };
  return {
    ...beside,
    name,
    cuts: family.cuts(published),
    optionsSchema: optionsSchema(family.options),
    build: (weights, options = {}) => family.build(chosen(options), weights),
    cutsOf: (options) => family.cuts(chosen(options)),
  };
}

function checkConfig(name: string, config: Partial<SmallResNetConfig & BertConfig>): void {
  const { blocks, channels, hidden, heads } = config;
  if (blocks && channels && blocks.length !== channels.length) {
    throw new TierbedError('invalid', `${name}: ${blocks.length} groups of blocks and ${channels.length} of channels`, {
      fix: 'Give `blocks` and `channels` as many entries as each other.',
    });
  }
  if (hidden !== undefined && heads !== undefined && hidden % heads !== 0) {
    throw new TierbedError('invalid', `${name}: ${hidden} hidden units cannot be divided among ${heads} heads`, {
      fix: 'Choose `hidden` as a multiple of `heads`.',
    });
  }
}

function over<Config extends object>(published: Config, options: NetworkOptions): Config {
  return { ...published, ...options };
}

function resNet(role: Architecture['role'], paper: string, config: ResNetConfig): Architecture {
  const studyCut = role === 'original' && { studyCut: ['layer3.16'] };
  const beside = {
    task: 'imagenet',
    role,
    paper,
    reference: `torchvision.models.${config.name}`,
    ...studyCut,
  } as const;
  return of(beside, config, {
    options: ['classes', 'imageSize', 'blocks'],
    ...{ chosen: over, cuts: resNetCuts, build: buildResNet },
  });
}

function smallResNet(config: SmallResNetConfig): Architecture {
  const reference = `cifar10_${config.name} of chenyaofo/pytorch-cifar-models`;
  return of({ task: 'cifar10', role: 'small', paper: RESNET_PAPER, reference }, config, {
    options: ['classes', 'imageSize', 'blocks', 'channels', 'stemStride', 'shortcut'],
    ...{ chosen: over, cuts: smallResNetCuts, build: buildSmallResNet },
  });
}

function mobileNet(config: MobileNetConfig): Architecture {
  const reference = `torchvision.models.${config.name}`;
  return of({ task: 'imagenet', role: 'small', paper: MOBILENET_PAPER, reference }, config, {
    options: ['classes', 'imageSize', 'width', 'stemStride', 'groups'],
    ...{ chosen: over, cuts: mobileNetCuts, build: buildMobileNet },
  });
}

function bert(role: Architecture['role'], paper: string, reference: string, config: BertConfig): Architecture {
  const studyCut = role === 'original' && { studyCut: ['embeddings', 'attention_bias'] };
  return of({ task: role === 'small' ? 'text' : 'mrpc', role, paper, reference, ...studyCut }, config, {
    options: ['classes', 'vocabulary', 'positions', 'layers', 'hidden', 'heads', 'intermediate'],
    chosen: (published, { classes, ...options }) => ({ ...published, ...options, ...(classes && { labels: classes }) }),
    ...{ cuts: bertCuts, build: buildBert },
  });
}
