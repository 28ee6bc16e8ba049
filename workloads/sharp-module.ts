import type { Sharp, SharpOptions } from 'sharp';

type SharpFunction = (input: Uint8Array, options?: SharpOptions) => Sharp;

let loading: Promise<SharpFunction> | undefined;

/**
 * The picture library, loaded when the first picture needs it: a node that runs a later stage never pays for it.
 * Its cache is off, so that the second reading of a picture costs what the first did, and one picture takes one thread,
 * so that a tier's processor is what decodes.
 */
export function sharpModule(): Promise<SharpFunction> {
  loading ??= import('sharp').then(({ default: sharp }) => {
    sharp.cache(false);
    sharp.concurrency(1);
    return sharp;
  });
  return loading;
}
