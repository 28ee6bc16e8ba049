import { TierbedError } from '../../base/errors.js';
import { elementReader } from '../elements.js';
import type { NpyHeader } from './npy-format.js';

/**
 * The elements of an array of labels as texts: whole numbers in decimal, texts as they are. An array of several columns
 * gives each item's numbers with spaces between.
 *
 * @param data the elements alone
 * @param what names the array in errors
 */
export function labelTexts(header: NpyHeader, data: Uint8Array, what: string): string[] {
  const [count = 0, ...rest] = header.shape;
  const width = rest.reduce((product, d) => product * d, 1);
  if (header.dtype === 'text') {
    if (width !== 1) throw new TierbedError('invalid', `${what} has ${width} texts for each item, where one is a label`);
    return Array.from({ length: count }, (_, i) => {
      return textOf(data.subarray(i * header.elementBytes, (i + 1) * header.elementBytes), header.encoding);
    });
  }
  const { at } = elementReader({ dtype: header.dtype, shape: header.shape, data });
  return Array.from({ length: count }, (_, i) => {
    return Array.from({ length: width }, (_, j) => String(at(i * width + j))).join(' ');
  });
}

/** NumPy fills what a text leaves of its place with zeros. */
function textOf(bytes: Uint8Array, encoding: NpyHeader['encoding']): string {
  if (encoding === 'bytes') return Buffer.from(bytes).toString('utf8').replace(/\0+$/, '');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += 4) {
    const code = view.getUint32(at, true);
    text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return text.replace(/\0+$/, '');
}
