import { EAGAIN, EINTR, ENOBUFS, type Libc, type NativeMemory } from '../system/libc.js';
import { decode, type QueuedPacket } from './netlink.js';

const MSG_DONTWAIT = 0x40;
/** Messages that one system call takes, and room for each: the kernel's say 130 bytes of a packet. */
const BATCH = 64;
/** Batches that are read at most before anything else is done. */
const MAX_BATCHES = 16;
const SLOT_BYTES = 512;
/** `struct mmsghdr` and `struct iovec` of 64-bit Linux. */
const MMSGHDR_BYTES = 64;
const IOVEC_BYTES = 16;
const IOVECS_AT = BATCH * MMSGHDR_BYTES;
const SLOTS_AT = IOVECS_AT + BATCH * IOVEC_BYTES;

/** Reads netlink messages many at a time, into memory that stays where it is. */
export class Receiver {
  readonly #libc: Libc;
  readonly #memory: NativeMemory;
  readonly #packet: QueuedPacket = { id: 0, ipBytes: 0, superPacket: false, atUs: 0 };

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#memory = libc.allocate(SLOTS_AT + BATCH * SLOT_BYTES);
    const { bytes, address } = this.#memory;
    for (let i = 0; i < BATCH; i++) {
      const iovecAt = IOVECS_AT + i * IOVEC_BYTES;
      bytes.writeBigUInt64LE(address + BigInt(SLOTS_AT + i * SLOT_BYTES), iovecAt);
      bytes.writeBigUInt64LE(BigInt(SLOT_BYTES), iovecAt + 8);
      bytes.writeBigUInt64LE(address + BigInt(iovecAt), i * MMSGHDR_BYTES + 16);
      bytes.writeBigUInt64LE(1n, i * MMSGHDR_BYTES + 24);
    }
  }

  /**
   * Reads what waits at a socket, up to a thousand packets, and hands them over, in one object that is used again for each.
   *
   * @throws Error when the socket fails
   */
  read(fd: number, onPacket: (packet: QueuedPacket) => void): void {
    const { bytes, address } = this.#memory;
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      const count = this.#libc.recvmmsg(fd, address, BATCH, MSG_DONTWAIT, 0n);
      if (count < 0) {
        const errno = this.#libc.errno();
        // ENOBUFS says that packets were dropped, which the kernel counts; those that follow can be read.
        if (errno === EINTR || errno === ENOBUFS) continue;
        if (errno === EAGAIN) return;
        throw new Error(`reading from a packet queue failed: ${this.#libc.errorName(errno)}`);
      }
      for (let i = 0; i < count; i++) {
        const at = SLOTS_AT + i * SLOT_BYTES;
        const length = bytes.readUInt32LE(i * MMSGHDR_BYTES + 56);
        if (decode(bytes, at, at + length, this.#packet) === 'packet') onPacket(this.#packet);
      }
      if (count < BATCH) return;
    }
  }

  free(): void {
    this.#memory.free();
  }
}
