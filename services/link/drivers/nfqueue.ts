import { messageOf, TierbedError } from '../../../base/errors.js';
import type { InterfaceDriver, InterfaceStats, OpenInterface } from '../interface-driver.js';
import { kernelDrops, openQueue } from '../nfqueue/queue-socket.js';
import { QueueRules, tryTarget } from '../nfqueue/rules.js';
import { ShaperThread } from '../nfqueue/shaper-thread.js';
import { leastBurstPackets } from '../shaping/loss.js';
import { mtuBytes, noInterface } from '../system/interface-request.js';
import { type Libc, loadLibc } from '../system/libc.js';
import type { DirectionSettings } from '../types.js';
import { validateDirection } from '../validate.js';

/** Seeds the jitter and the losses of every interface. */
const SEED = 1;

/** Queues are numbered by interface, so that a process finds its predecessor's; others' numbers mostly begin at 0. */
const FIRST_QUEUE = 0x5400;
const QUEUES = 0x2000;
const TRY_QUEUE = FIRST_QUEUE + QUEUES;

/** One thread shapes all interfaces of the process; it lives while one is open. */
let thread: ShaperThread | undefined;
const sockets = new Set<number>();

function threadOf(libc: Libc): ShaperThread {
  if (!thread || thread.failed) {
    thread = new ShaperThread(libc, () => {
      // Nobody answers for the packets any more: give the queues up, so that the kernel drops what is sent to them.
      for (const fd of sockets) libc.close(fd);
      sockets.clear();
    });
  }
  return thread;
}

function closeSocket(libc: Libc, fd: number): void {
  if (sockets.delete(fd)) libc.close(fd);
}

async function endIdleThread(): Promise<void> {
  if (sockets.size > 0 || !thread) return;
  const idle = thread;
  thread = undefined;
  await idle.close();
}

/**
 * Shapes what comes in by an interface: the kernel holds each packet (NFQUEUE in mangle PREROUTING) until this process
 * lets it go. Needs no queueing discipline in the kernel. A process that dies leaves the link blocked, never unshaped; the
 * next one takes it over. See docs/links.md.
 */
export const nfqueueDriver: InterfaceDriver = {
  name: 'nfqueue',
  side: 'ingress',

  async unavailable() {
    try {
      const libc = await loadLibc();
      libc.close(await openQueue(libc, TRY_QUEUE));
      await tryTarget();
      return undefined;
    } catch (error) {
      return error instanceof TierbedError && error.fix ? `${error.message}: ${error.fix}` : messageOf(error);
    }
  },

  async open(interfaceName: string, settings: DirectionSettings): Promise<OpenInterface> {
    check(interfaceName, settings);
    const libc = await loadLibc();
    const index = libc.if_nametoindex(interfaceName);
    if (index === 0) throw noInterface(interfaceName);
    const queue = FIRST_QUEUE + (index % QUEUES);
    const rules = await QueueRules.of(interfaceName);
    // The queue first: where a predecessor left its rule, packets pass from here on, and shaped.
    const fd = await openQueue(libc, queue);
    sockets.add(fd);
    const own = threadOf(libc);
    try {
      const mtu = mtuBytes(libc, interfaceName);
      await own.call('add', { interfaceName, queue, fd, mtuBytes: mtu, settings, seed: SEED });
      await rules.install(queue);
    } catch (error) {
      await own.call('remove', queue).catch(() => {});
      closeSocket(libc, fd);
      await endIdleThread();
      throw error;
    }

    let closing: Promise<void> | undefined;
    const assertOpen = () => {
      if (closing) throw new TierbedError('unavailable', `the shaping of ${interfaceName} is closed`);
    };
    const close = async () => {
      await rules.remove();
      await own.call('remove', queue).catch(() => {});
      closeSocket(libc, fd);
      await endIdleThread();
    };
    return {
      async set(changed, blocked = false) {
        assertOpen();
        check(interfaceName, changed);
        await own.call('set', queue, changed, blocked);
      },
      async stats(): Promise<InterfaceStats> {
        assertOpen();
        const [counted, drops] = await Promise.all([own.call('stats', queue), kernelDrops(queue)]);
        return { ...counted, droppedPackets: counted.droppedPackets + drops };
      },
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  },
};

/** @throws TierbedError `invalid` naming the key */
function check(interfaceName: string, settings: DirectionSettings): void {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}$/.test(interfaceName)) {
    throw new TierbedError('invalid', `'${interfaceName}' is not the name of a network interface`);
  }
  validateDirection(interfaceName, settings);
  const { lossPct = 0, lossBurstPackets } = settings;
  if (!(lossPct >= 0 && lossPct <= 100)) {
    throw new TierbedError('invalid', `${interfaceName}.lossPct is ${lossPct}: not a share in per cent`, {
      fix: 'give a number from 0 to 100',
    });
  }
  if (lossBurstPackets === undefined) return;
  const least = lossPct < 100 ? leastBurstPackets(lossPct) : 1;
  if (!(lossBurstPackets >= least)) {
    throw new TierbedError(
      'invalid',
      `${interfaceName}.lossBurstPackets is ${lossBurstPackets}: runs that short cannot make up ${lossPct} % of the packets`,
      { fix: `give at least ${Math.ceil(least * 100) / 100}, or a smaller lossPct` },
    );
  }
}
