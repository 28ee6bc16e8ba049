import type { DenseTensor } from '../tensor.js';

/** The least and the largest value of a tensor: one of each, or one for each index of an axis. Plain data. */
export interface EncodedRange {
  readonly min: readonly number[];
  readonly max: readonly number[];
}

/** The options of one encoding, as the study has them. */
export type EncodingOptions = Readonly<Record<string, unknown>>;

/** What an encoding of elements makes of a tensor. */
export interface EncodedElements {
  /** What decoding must know besides type and shape. */
  readonly parameters: Uint8Array;
  readonly payload: Uint8Array;
}

/** Another form of a tensor's elements: one file in `onnx/encodings/`, one line in its table. */
export interface ElementEncoding {
  readonly kind: 'elements';
  readonly name: string;
  /** Its number in the header of encoded tensors: never given to another. */
  readonly code: number;
  /** JSON Schema of its options. */
  readonly optionsSchema: object;
  /** Tensors of other types keep their elements as they are. */
  takes(dtype: DenseTensor['dtype']): boolean;
  /** @param range calibrated beforehand; undefined: the tensor's own is taken, where one is needed */
  encode(tensor: DenseTensor, options: EncodingOptions, range: EncodedRange | undefined): EncodedElements;
  /** Bytes of the payload. */
  payloadBytes(dtype: DenseTensor['dtype'], elements: number): number;
  /**
   * @param encoded as `encode` gave it; the payload's length is right, the parameters may be anything
   * @throws TierbedError `invalid` when the parameters are not such an encoding's
   */
  decode(dtype: DenseTensor['dtype'], shape: readonly number[], encoded: EncodedElements): DenseTensor;
}

/** Another form of bytes, whatever they are: lossless, and behind an encoding of elements if there is one. */
export interface ByteEncoding {
  readonly kind: 'bytes';
  readonly name: string;
  /** As an element encoding's; 0 is none. */
  readonly code: number;
  readonly optionsSchema: object;
  encode(bytes: Uint8Array, options: EncodingOptions): Uint8Array;
  /**
   * @param length of what must come out: nothing longer is ever made
   * @throws TierbedError `invalid` when the bytes are damaged or something of another length comes out
   */
  decode(bytes: Uint8Array, length: number): Uint8Array;
}

export type Encoding = ElementEncoding | ByteEncoding;
