/** The longest message that is sent or taken, unless told otherwise: 1 GiB. gRPC's own bound is 4 GiB - 1. */
export const DEFAULT_MAX_MESSAGE_BYTES = 2 ** 30;

/**
 * HTTP/2 flow-control window of each stream and each connection, in bytes: what may be under way before the receiver has
 * said that it took it. Messages up to this size never wait for that; longer ones go at this much a round trip, which at
 * 100 ms is 5.4 Gbit/s, where the protocol's 64 KiB allow 5 Mbit/s.
 */
export const WINDOW_BYTES = 64 * 2 ** 20;

/** More than any model has; they keep a small hostile message from growing into a large heap. */
export const MAX_TENSORS = 4096;
export const MAX_PARAMETERS = 4096;
export const MAX_RANK = 64;
/** Elements of one BYTES tensor. */
export const MAX_STRINGS = 2 ** 20;
