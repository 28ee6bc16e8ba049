import { Random } from '../../../base/random.js';
import type { InterfaceStats } from '../interface-driver.js';
import { PacketShaper } from '../shaping/packet-shaper.js';
import { EINTR, type Libc } from '../system/libc.js';
import type { DirectionSettings } from '../types.js';
import { ACCEPT, copyMessage, DROP, type QueuedPacket, VERDICT_BYTES, writeVerdict } from './netlink.js';
import type { QueueTask } from './protocol.js';
import { KERNEL_ADDRESS } from './queue-socket.js';
import { segmentsOf, superPacketsPass, wireBytesOf } from './wire-length.js';

/** Enough for the kernel to say how long a packet is; nobody looks into it. */
const COPY_BYTES = 4;
/** Verdicts that are sent in one system call. */
const MAX_VERDICTS = 256;

/**
 * One interface's packets: the kernel holds them, and is told when each may go on. As nothing overtakes, "all up to this
 * one" lets any number go with one message; what is lost or dropped is told beforehand, one by one.
 */
export class ShapedQueue {
  readonly task: QueueTask;
  readonly #libc: Libc;
  readonly #shaper: PacketShaper<number>;
  readonly #verdicts = Buffer.alloc(MAX_VERDICTS * VERDICT_BYTES);
  #verdictBytes = 0;

  /** @throws Error when the kernel refuses */
  constructor(libc: Libc, task: QueueTask, nowMs: number) {
    this.#libc = libc;
    this.task = task;
    this.#shaper = new PacketShaper(task.settings, new Random(task.seed).fork(task.interfaceName), nowMs);
    this.#askForPackets(task.settings);
  }

  /** When it has something to do next. */
  get nextMs(): number {
    return this.#shaper.releaseMs;
  }

  offer(packet: QueuedPacket, arrivedMs: number): void {
    const segments = packet.superPacket ? segmentsOf(packet.ipBytes, this.task.mtuBytes) : 1;
    const fate = this.#shaper.offer(packet.id, wireBytesOf(packet.ipBytes, segments), arrivedMs, segments);
    if (fate !== 'taken') this.#verdict(DROP, packet.id, false);
  }

  /** Lets go what has arrived by now, and says what does not. */
  release(nowMs: number): void {
    let last = -1;
    for (let id = this.#shaper.shift(nowMs); id !== undefined; id = this.#shaper.shift(nowMs)) last = id;
    if (last >= 0) this.#verdict(ACCEPT, last, true);
    this.#flush();
  }

  set(settings: DirectionSettings, nowMs: number, blocked: boolean): void {
    this.#askForPackets(settings);
    for (const id of this.#shaper.set(settings, nowMs, blocked)) this.#verdict(DROP, id, false);
    this.#flush();
  }

  stats(nowMs: number): InterfaceStats {
    return this.#shaper.stats(nowMs);
  }

  #askForPackets(settings: DirectionSettings): void {
    this.#send(copyMessage(0, this.task.queue, COPY_BYTES, superPacketsPass(settings)));
  }

  #verdict(verdict: number, id: number, upTo: boolean): void {
    this.#verdictBytes = writeVerdict(this.#verdicts, this.#verdictBytes, this.task.queue, verdict, id, upTo);
    if (this.#verdictBytes === this.#verdicts.length) this.#flush();
  }

  #flush(): void {
    if (this.#verdictBytes === 0) return;
    this.#send(this.#verdicts, this.#verdictBytes);
    this.#verdictBytes = 0;
  }

  #send(message: Buffer, length = message.length): void {
    const { fd } = this.task;
    while (this.#libc.sendto(fd, message, length, 0, KERNEL_ADDRESS, KERNEL_ADDRESS.length) < 0) {
      const errno = this.#libc.errno();
      // A verdict that does not reach the kernel would let a lost packet pass with those behind it: better to stop.
      if (errno !== EINTR) throw new Error(`writing to a packet queue failed: ${this.#libc.errorName(errno)}`);
    }
  }
}
