import { messageOf, TierbedError } from '../../base/errors.js';
import {
  type EncodingChoice,
  encodingChain,
  encodingSchema,
  isCalibrated,
  isPlain,
} from '../../onnx/encodings/chain.js';
import type { LinkEncoding } from '../../onnx/encodings/link-encoding.js';
import type { StageModel } from '../../operators/variant.js';
import { TIER_ROUTES } from '../link/routes.js';
import type { LinkName } from '../link/types.js';
import type { StudyFile } from './study.js';
import type { TierName } from './tiers.js';

/** How tensors between stages are encoded on each link, as a study writes it; on a link that is not named, not at all. */
export type LinkEncodings = Readonly<Partial<Record<LinkName, EncodingChoice>>>;

/** JSON Schema of the study's key `encodings`. */
export const linkEncodingsSchema = {
  type: 'object',
  properties: { 'mobile-edge': encodingSchema, 'edge-cloud': encodingSchema },
  additionalProperties: false,
};

/** @throws TierbedError `invalid` with the study's file, line and key, for a chain that makes no sense on a link */
export function checkEncodings(encodings: LinkEncodings, errorAt: StudyFile['errorAt']): void {
  for (const [link, choice] of Object.entries(encodings)) {
    try {
      if (!isCalibrated(encodingChain(choice))) continue;
    } catch (error) {
      throw errorAt(['encodings', link], messageOf(error), error instanceof TierbedError ? { cause: error } : {});
    }
    throw errorAt(['encodings', link], 'a link has no ranges of its own: they are calibrated where a recipe cuts', {
      fix: 'Leave `range` out here, or give the encoding to the recipe: `partition: { encoding: ... }`.',
    });
  }
}

/**
 * How a stage's outputs get to the next stage on another tier: as its own recipe says, else as the study says of the
 * first link on the way.
 *
 * @returns undefined: as they are
 */
export function encodingBetween(
  encodings: LinkEncodings,
  stage: StageModel,
  from: TierName,
  to: TierName,
): LinkEncoding | undefined {
  const first = TIER_ROUTES.find((route) => route.from === from && route.to === to)?.via[0];
  const choice = first && encodings[first];
  const encoding = stage.encoding ?? (choice && { chain: encodingChain(choice) });
  return encoding && !isPlain(encoding.chain) ? encoding : undefined;
}
