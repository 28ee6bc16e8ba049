import { messageOf, TierbedError } from '../../../base/errors.js';

/** Memory outside JavaScript's heap: it does not move, and lives until it is freed, so structures may hold its address. */
export interface NativeMemory {
  readonly bytes: Buffer;
  readonly address: bigint;
  free(): void;
}

type Pointer = Uint8Array | NativeMemory['address'];

/** The C library's functions that links need, by their own names. What fails gives -1, and `errno()` says why. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Pointer, length: number): number;
  close(fd: number): number;
  setsockopt(fd: number, level: number, option: number, value: Pointer, length: number): number;
  sendto(fd: number, data: Pointer, length: number, flags: number, address: Pointer, addressLength: number): number;
  recv(fd: number, data: Pointer, length: number, flags: number): number;
  recvmmsg(fd: number, messages: Pointer, count: number, flags: number, timeout: bigint): number;
  ppoll(fds: Pointer, count: number, timeout: Pointer, signals: bigint): number;
  ioctl(fd: number, request: number, argument: Pointer): number;
  eventfd(initial: number, flags: number): number;
  prctl(option: number, value: number): number;
  sched_setscheduler(thread: number, policy: number, parameters: Pointer): number;
  if_nametoindex(name: string): number;
  clock_gettime(clock: number, time: Pointer): number;
  /** The number of the last error of a function above in this thread. Ask at once. */
  errno(): number;
  /** e.g. `EPERM (1)` */
  errorName(errno: number): string;
  allocate(bytes: number): NativeMemory;
}

const PROTOTYPES = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, void *, uint32_t)',
  close: 'int close(int)',
  setsockopt: 'int setsockopt(int, int, int, void *, uint32_t)',
  sendto: 'intptr_t sendto(int, void *, size_t, int, void *, uint32_t)',
  recv: 'intptr_t recv(int, void *, size_t, int)',
  recvmmsg: 'int recvmmsg(int, void *, uint32_t, int, void *)',
  ppoll: 'int ppoll(void *, unsigned long, void *, void *)',
  eventfd: 'int eventfd(uint32_t, int)',
  if_nametoindex: 'uint32_t if_nametoindex(const char *)',
  clock_gettime: 'int clock_gettime(int, void *)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  prctl: 'int prctl(int, unsigned long)',
  sched_setscheduler: 'int sched_setscheduler(int, int, void *)',
} as const;

let loaded: Promise<Libc> | undefined;

/**
 * Loads koffi and binds the C library, once a thread.
 *
 * @throws TierbedError `unavailable`: not Linux on a 64-bit little-endian processor, or koffi does not load
 */
export function loadLibc(): Promise<Libc> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Libc> {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    const here = `${process.platform} on ${process.arch}`;
    throw new TierbedError('unavailable', `interfaces are shaped on Linux on x64 or arm64, this is ${here}`);
  }
  let koffi: typeof import('koffi').default;
  let library: ReturnType<typeof koffi.load>;
  try {
    koffi = (await import('koffi')).default;
    // The process's own C library, whatever it is called.
    library = koffi.load(null);
  } catch (error) {
    throw new TierbedError('unavailable', `koffi, which calls the C library, does not load: ${messageOf(error)}`, {
      cause: error,
      fix: 'install the dependencies for this platform with npm ci',
    });
  }
  const functions = Object.fromEntries(
    Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)]),
  ) as unknown as Pick<Libc, keyof typeof PROTOTYPES>;
  return {
    ...functions,
    errno: () => koffi.errno(),
    errorName: (errno) => {
      const name = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0];
      return `${name ?? 'error'} (${errno})`;
    },
    allocate: (bytes) => {
      const memory: unknown = koffi.alloc('uint8_t', bytes);
      const view = Buffer.from(koffi.view(memory, bytes));
      view.fill(0);
      return { bytes: view, address: koffi.address(memory), free: () => koffi.free(memory) };
    },
  };
}

/** Error numbers of Linux that callers tell apart; the same on x64 and arm64. */
export const EPERM = 1;
export const EINTR = 4;
export const EAGAIN = 11;
export const ENODEV = 19;
export const ENOBUFS = 105;
