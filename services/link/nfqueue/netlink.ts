// Messages of Linux's nfnetlink_queue (linux/netfilter/nfnetlink_queue.h), as bytes. Netlink's own numbers are in the
// machine's order, little-endian here; what belongs to netfilter is in the network's.

const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NFNL_SUBSYS_QUEUE = 3;
const MSG_PACKET = 0;
const MSG_VERDICT = 1;
const MSG_CONFIG = 2;
const MSG_VERDICT_BATCH = 3;

const HEADER_BYTES = 16;
const NFGEN_BYTES = 4;

const CFG_CMD = 1;
const CFG_PARAMS = 2;
const CFG_QUEUE_MAXLEN = 3;
const CFG_MASK = 4;
const CFG_FLAGS = 5;
const CMD_BIND = 1;
const COPY_PACKET = 2;
const FLAG_GSO = 4;

const ATTR_PACKET_HEADER = 1;
const ATTR_VERDICT_HEADER = 2;
const ATTR_TIMESTAMP = 4;
const ATTR_PAYLOAD = 10;
const ATTR_CAP_LEN = 13;
const ATTR_SKB_INFO = 14;
const SKB_GSO = 2;

export const DROP = 0;
export const ACCEPT = 1;

/** A verdict on one packet or on all up to one. */
export const VERDICT_BYTES = HEADER_BYTES + NFGEN_BYTES + 12;

interface Attribute {
  readonly type: number;
  readonly value: Buffer;
}

function message(type: number, flags: number, seq: number, queue: number, attributes: readonly Attribute[]): Buffer {
  const padded = attributes.map(({ type, value }) => {
    const attribute = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
    attribute.writeUInt16LE(4 + value.length, 0);
    attribute.writeUInt16LE(type, 2);
    value.copy(attribute, 4);
    return attribute;
  });
  const bytes = Buffer.concat([Buffer.alloc(HEADER_BYTES + NFGEN_BYTES), ...padded]);
  writeHeader(bytes, 0, bytes.length, type, flags, seq, queue);
  return bytes;
}

function writeHeader(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  seq: number,
  queue: number,
): void {
  bytes.writeUInt32LE(length, at);
  bytes.writeUInt16LE((NFNL_SUBSYS_QUEUE << 8) | type, at + 4);
  bytes.writeUInt16LE(flags, at + 6);
  bytes.writeUInt32LE(seq, at + 8);
  bytes.writeUInt32LE(0, at + 12);
  // struct nfgenmsg: address family (any) and version, then the queue's number.
  bytes.writeUInt16LE(0, at + 16);
  bytes.writeUInt16BE(queue, at + 18);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Asks for a queue, and how many packets it may hold. No packet comes before `copyMessage`. Answered by an error or 0. */
export function bindMessage(seq: number, queue: number, maxPackets: number): Buffer {
  return message(MSG_CONFIG, NLM_F_REQUEST | NLM_F_ACK, seq, queue, [
    { type: CFG_CMD, value: Buffer.from([CMD_BIND, 0, 0, 0]) },
    { type: CFG_QUEUE_MAXLEN, value: uint32(maxPackets) },
  ]);
}

/**
 * Asks for packets, with so many of their first bytes.
 *
 * @param superPackets whether several segments in one are to come as one, or each by itself
 */
export function copyMessage(seq: number, queue: number, copyBytes: number, superPackets: boolean): Buffer {
  return message(MSG_CONFIG, NLM_F_REQUEST, seq, queue, [
    { type: CFG_PARAMS, value: Buffer.concat([uint32(copyBytes), Buffer.from([COPY_PACKET])]) },
    { type: CFG_FLAGS, value: uint32(superPackets ? FLAG_GSO : 0) },
    { type: CFG_MASK, value: uint32(FLAG_GSO) },
  ]);
}

/** Writes a verdict on the packet with this id, or on all that wait with an id up to it. Gives where it ends. */
export function writeVerdict(
  bytes: Buffer,
  at: number,
  queue: number,
  verdict: number,
  id: number,
  upTo: boolean,
): number {
  writeHeader(bytes, at, VERDICT_BYTES, upTo ? MSG_VERDICT_BATCH : MSG_VERDICT, NLM_F_REQUEST, 0, queue);
  bytes.writeUInt16LE(12, at + 20);
  bytes.writeUInt16LE(ATTR_VERDICT_HEADER, at + 22);
  bytes.writeUInt32BE(verdict, at + 24);
  bytes.writeUInt32BE(id, at + 28);
  return at + VERDICT_BYTES;
}

/** What the kernel says of a packet that waits for its verdict. */
export interface QueuedPacket {
  id: number;
  /** Of the IP packet, or of several in one. */
  ipBytes: number;
  /** Several segments in one. */
  superPacket: boolean;
  /** When it came, in microseconds of the host's real time; 0 where the kernel does not say. */
  atUs: number;
}

export type Decoded = 'packet' | 'answer' | 'other';

/** Reads one message into `packet`, or `packet.id` = the error's number of an answer (0: none). */
export function decode(bytes: Buffer, at: number, end: number, packet: QueuedPacket): Decoded {
  if (end - at < HEADER_BYTES + NFGEN_BYTES) return 'other';
  const messageEnd = Math.min(end, at + bytes.readUInt32LE(at));
  const type = bytes.readUInt16LE(at + 4);
  if (type === NLMSG_ERROR) {
    packet.id = Math.abs(bytes.readInt32LE(at + HEADER_BYTES));
    return 'answer';
  }
  if (type !== ((NFNL_SUBSYS_QUEUE << 8) | MSG_PACKET)) return 'other';
  packet.id = -1;
  packet.ipBytes = 0;
  packet.superPacket = false;
  packet.atUs = 0;
  let trueBytes = 0;
  for (let next = at + HEADER_BYTES + NFGEN_BYTES; next + 4 <= messageEnd; ) {
    const length = bytes.readUInt16LE(next);
    if (length < 4 || next + length > messageEnd) break;
    const value = next + 4;
    switch (bytes.readUInt16LE(next + 2)) {
      case ATTR_PACKET_HEADER:
        packet.id = bytes.readUInt32BE(value);
        break;
      case ATTR_TIMESTAMP:
        // Seconds and microseconds of 64 bits each; the upper halves stay 0 until 2106.
        packet.atUs = bytes.readUInt32BE(value + 4) * 1e6 + bytes.readUInt32BE(value + 12);
        break;
      case ATTR_PAYLOAD:
        packet.ipBytes = length - 4;
        break;
      case ATTR_CAP_LEN:
        trueBytes = bytes.readUInt32BE(value);
        break;
      case ATTR_SKB_INFO:
        packet.superPacket = (bytes.readUInt32BE(value) & SKB_GSO) !== 0;
        break;
    }
    next += (length + 3) & ~3;
  }
  if (packet.id < 0) return 'other';
  // Only a packet that was cut short says how long it is.
  if (trueBytes > 0) packet.ipBytes = trueBytes;
  return 'packet';
}
