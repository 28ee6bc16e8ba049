import type { NamedTensor } from '../../../onnx/tensor.js';

/** A parameter's value: `bool_param`, `int64_param` (`uint64_param` from 2^63 on), `double_param` or `string_param`. */
export type Parameter = boolean | bigint | number | string;

/** When a message came in; set by the decoder. Times are nanoseconds of the host's monotonic clock. */
export interface ReceivedStamp {
  /** Of the message, without gRPC's and HTTP/2's framing. */
  readonly bytes: number;
  /** When all of the message was there and reading it began. */
  readonly arrivedNs: bigint;
  readonly deserialiseNs: bigint;
  /** What the sender stamped on the message, if it did (see `Sending.stamp`). */
  readonly sender?: { readonly serialiseNs: bigint; readonly sentNs: bigint };
}

/** When a message went out. */
export interface SentStamp {
  readonly bytes: number;
  /** From the call to `sentNs`: encoding, and what gRPC does to set up the call. */
  readonly serialiseNs: bigint;
  /** When the last byte was handed to the transport. */
  readonly sentNs: bigint;
}

/** How one message is to be sent. */
export interface Sending {
  /** Append `tierbed_serialise_ns` and `tierbed_sent_ns`, which the receiver finds in `received.sender`. */
  readonly stamp?: boolean;
  /** Called once, when the message was handed to the transport. */
  readonly onSent?: (sent: SentStamp) => void;
}

/** ModelInferRequest. The tensors of one that was received are views of the message's buffer. */
export interface InferRequest {
  readonly modelName: string;
  readonly modelVersion?: string;
  readonly id?: string;
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly inputs: readonly NamedTensor[];
  /** Undefined or empty: all outputs. */
  readonly requestedOutputs?: readonly string[];
  readonly received?: ReceivedStamp;
  readonly sending?: Sending;
}

/** ModelInferResponse. The tensors of one that was received are views of the message's buffer. */
export interface InferResponse {
  readonly modelName: string;
  readonly modelVersion?: string;
  readonly id?: string;
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly outputs: readonly NamedTensor[];
  readonly received?: ReceivedStamp;
  readonly sending?: Sending;
}

/** Parameters that the codec itself writes and reads: int64 nanoseconds. */
export const SERIALISE_NS = 'tierbed_serialise_ns';
export const SENT_NS = 'tierbed_sent_ns';
