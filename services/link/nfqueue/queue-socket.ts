import { readFile } from 'node:fs/promises';
import { TierbedError } from '../../../base/errors.js';
import { EPERM, type Libc } from '../system/libc.js';
import { bindMessage, decode, type QueuedPacket } from './netlink.js';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
/** So that no child process keeps a queue alive. */
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SO_TIMESTAMPNS = 35;
const MSG_DONTWAIT = 0x40;

/** Packets that the kernel holds for their time: 64 MiB in the smallest ones would be a million. */
const MAX_PACKETS = 1 << 18;
/** Messages that may wait while the thread does not run: about 16,000. */
const RECEIVE_BYTES = 16 * 1024 * 1024;

const QUEUES_FILE = '/proc/self/net/netfilter/nfnetlink_queue';

/** `struct sockaddr_nl` of the kernel. */
export const KERNEL_ADDRESS = Buffer.from([AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/**
 * Takes a queue of this network namespace for this process. It holds packets from now on only once they are asked for
 * (`copyMessage`); until then they are dropped.
 *
 * @returns the netlink socket, to be closed by the caller: then the kernel drops what waits
 * @throws TierbedError `unavailable` naming what the kernel or the process lacks; `refused` if another process has it
 */
export async function openQueue(libc: Libc, queue: number): Promise<number> {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) {
    const why = libc.errorName(libc.errno());
    throw new TierbedError('unavailable', `the kernel has no netfilter netlink: ${why}`);
  }
  try {
    // Without an address of its own, the first message would give it one.
    if (libc.bind(fd, KERNEL_ADDRESS, KERNEL_ADDRESS.length) < 0) fail(libc, 'binding a netlink socket');
    enlarge(libc, fd);
    // Makes the kernel note when each packet came in, so that it does not matter when this process looks.
    setOption(libc, fd, SO_TIMESTAMPNS, 1);
    const errno = ask(libc, fd, bindMessage(1, queue, MAX_PACKETS));
    if (errno === EPERM && (await queueHolder(queue)) !== undefined) {
      throw new TierbedError('refused', `another process has the packet queue ${queue} of this network namespace`, {
        fix: 'end the process that shapes the interface already',
      });
    }
    if (errno === EPERM) {
      throw new TierbedError(
        'unavailable',
        'the process may not take a packet queue: the capability NET_ADMIN is missing',
        {
          fix: 'give it NET_ADMIN and NET_RAW',
        },
      );
    }
    if (errno !== 0) {
      const why = libc.errorName(errno);
      throw new TierbedError('unavailable', `the kernel has no packet queues (nfnetlink_queue): ${why}`);
    }
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

function enlarge(libc: Libc, fd: number): void {
  if (!setOption(libc, fd, SO_RCVBUFFORCE, RECEIVE_BYTES)) setOption(libc, fd, SO_RCVBUF, RECEIVE_BYTES);
}

function setOption(libc: Libc, fd: number, option: number, value: number): boolean {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return libc.setsockopt(fd, SOL_SOCKET, option, bytes, bytes.length) === 0;
}

/** Sends a message and reads its answer, which the kernel has put there when sending returns. Gives the error number. */
function ask(libc: Libc, fd: number, message: Buffer): number {
  if (libc.sendto(fd, message, message.length, 0, KERNEL_ADDRESS, KERNEL_ADDRESS.length) < 0) {
    fail(libc, 'asking the kernel for a packet queue');
  }
  const answer = Buffer.alloc(1024);
  const bytes = libc.recv(fd, answer, answer.length, MSG_DONTWAIT);
  if (bytes < 0) fail(libc, 'reading what the kernel says of a packet queue');
  const read: QueuedPacket = { id: 0, ipBytes: 0, superPacket: false, atUs: 0 };
  if (decode(answer, 0, bytes, read) !== 'answer') throw new TierbedError('internal', 'netlink gave no answer');
  return read.id;
}

function fail(libc: Libc, doing: string): never {
  throw new TierbedError('unavailable', `${doing} failed: ${libc.errorName(libc.errno())}`);
}

/** One line of the kernel's list of queues. */
export interface QueueLine {
  readonly queue: number;
  readonly portId: number;
  /** Dropped because the queue held too many, and because the process did not read fast enough. */
  readonly droppedPackets: number;
}

/** Reads the kernel's list of queues. */
export function parseQueues(text: string): QueueLine[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((fields) => fields.length >= 8)
    .map((fields) => ({
      queue: fields[0] as number,
      portId: fields[1] as number,
      droppedPackets: (fields[5] as number) + (fields[6] as number),
    }));
}

async function queueLine(queue: number): Promise<QueueLine | undefined> {
  const text = await readFile(QUEUES_FILE, 'utf8').catch(() => '');
  return parseQueues(text).find((line) => line.queue === queue);
}

/** Packets that the kernel dropped at this queue because they came faster than they were read. */
export async function kernelDrops(queue: number): Promise<number> {
  return (await queueLine(queue))?.droppedPackets ?? 0;
}

/** The netlink port that holds a queue, or undefined. */
async function queueHolder(queue: number): Promise<number | undefined> {
  return (await queueLine(queue))?.portId;
}
