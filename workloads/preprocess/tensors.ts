import { decodeItemFile } from '../item-file.js';
import type { Preprocessor } from '../types.js';

/** For items that are tensors already: they are read from the item file, whose data they are views of. */
export function tensorsPreprocessor(): Preprocessor {
  return async (item) => decodeItemFile(item);
}
