/**
 * Pings find a peer that vanished without a word. Their answer may have to wait behind everything that is under way, and
 * that can take minutes on a slow link, so a ping is given long: it is for machines that are gone, deadlines are for the rest.
 */
export const KEEPALIVE_TIME_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 600_000;
