import { TierbedError } from '../../../base/errors.js';

/** The error for an activation that no range can hold. */
export function notFinite(tensor: string, item: string): TierbedError {
  return new TierbedError(
    'invalid',
    `tensor '${tensor}' has a NaN or an infinite value on calibration item '${item}'`,
    {
      fix: 'Look at that item and its preprocessing; or leave the nodes that use the tensor in float: `excludeNodes`.',
    },
  );
}
