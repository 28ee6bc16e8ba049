/**
 * Pings find a peer that vanished without a word. Their answer may have to wait behind everything that is under way, and
 * 32 MiB take minutes on a slow link, so a ping is given long: it is for machines that are gone, deadlines are for the rest.
 */
export const keepalive = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 600_000,
  'grpc.keepalive_permit_without_calls': 1,
} as const;
