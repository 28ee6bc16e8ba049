import type { BertConfig } from './bert.js';
import type { MobileNetConfig } from './mobilenet.js';
import type { ResNetConfig } from './resnet.js';
import type { SmallResNetConfig } from './small-resnet.js';

/** What may be chosen of a network; which of it, its family says. What is left out is as published. */
export type NetworkOptions = Partial<
  Pick<ResNetConfig, 'classes' | 'imageSize'> &
    Pick<SmallResNetConfig, 'blocks' | 'channels' | 'stemStride' | 'shortcut'> &
    Pick<MobileNetConfig, 'width' | 'groups'> &
    Pick<BertConfig, 'layers' | 'hidden' | 'heads' | 'intermediate' | 'vocabulary' | 'positions'>
>;

const count = (maximum: number) => ({ type: 'integer', minimum: 1, maximum });
const counts = (maximum: number) => ({ type: 'array', items: count(maximum), minItems: 1, maxItems: 16 });

const OPTIONS = {
  classes: count(1_000_000),
  imageSize: count(4096),
  blocks: counts(256),
  channels: counts(65_536),
  stemStride: count(4),
  shortcut: { enum: ['pad', 'convolution'] },
  width: { type: 'number', exclusiveMinimum: 0, maximum: 16 },
  groups: { type: 'array', items: { ...counts(65_536), minItems: 4, maxItems: 4 }, minItems: 1, maxItems: 32 },
  layers: count(256),
  hidden: count(65_536),
  heads: count(1024),
  intermediate: count(1_000_000),
  vocabulary: count(10_000_000),
  positions: count(1_000_000),
} satisfies Readonly<Record<keyof NetworkOptions, object>>;

/** JSON Schema of the options that a family has. */
export function optionsSchema(names: readonly (keyof NetworkOptions)[]): object {
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, OPTIONS[name]])),
    additionalProperties: false,
  };
}
