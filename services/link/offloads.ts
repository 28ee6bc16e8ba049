import { TierbedError } from '../../base/errors.js';
import { IFREQ_UNION_AT, interfaceRequest } from './interface-request.js';
import { EOPNOTSUPP, type Libc, loadLibc } from './libc.js';

const SIOCETHTOOL = 0x8946;

/** Offload by name: the numbers of `ethtool`'s requests that read and set it (linux/ethtool.h). */
const REQUESTS = {
  tso: { read: 0x1e, write: 0x1f },
  gso: { read: 0x23, write: 0x24 },
  gro: { read: 0x2b, write: 0x2c },
} as const;

/**
 * What lets the kernel carry up to 64 KiB of a connection as one packet: cut up by the sender's interface (`tso`) or just
 * before it (`gso`), put together by the receiver's (`gro`).
 */
export type Offload = keyof typeof REQUESTS;
export type Offloads = Readonly<Record<Offload, boolean>>;

const NAMES = Object.keys(REQUESTS) as Offload[];

/** @throws TierbedError `missing` if there is no such interface, `unavailable` off Linux */
export async function readOffloads(interfaceName: string): Promise<Offloads> {
  const libc = await loadLibc();
  const entries = NAMES.map((name) => [name, request(libc, interfaceName, REQUESTS[name].read, 0) === 1] as const);
  return Object.fromEntries(entries) as Offloads;
}

/**
 * Turns offloads of an interface on or off; what is not named stays. Needs NET_ADMIN.
 *
 * @returns how they were before, to be put back
 * @throws TierbedError `missing` if there is no such interface; `refused` with the kernel's words, or if it did not obey
 */
export async function setOffloads(interfaceName: string, wanted: Partial<Offloads>): Promise<Offloads> {
  const libc = await loadLibc();
  const before = await readOffloads(interfaceName);
  for (const name of NAMES) {
    const on = wanted[name];
    if (on !== undefined && on !== before[name]) request(libc, interfaceName, REQUESTS[name].write, on ? 1 : 0);
  }
  const after = await readOffloads(interfaceName);
  const stubborn = NAMES.filter((name) => wanted[name] !== undefined && wanted[name] !== after[name]);
  if (stubborn.length === 0) return before;
  throw new TierbedError('refused', `${interfaceName} does not change ${stubborn.join(', ')}`);
}

/** An `ethtool` request with one value, through `struct ethtool_value`: the request's number and the value. */
function request(libc: Libc, interfaceName: string, command: number, value: number): number {
  const memory = libc.allocate(8);
  try {
    memory.bytes.writeUInt32LE(command, 0);
    memory.bytes.writeUInt32LE(value, 4);
    const answer = interfaceRequest(libc, interfaceName, SIOCETHTOOL, (ifreq) => {
      ifreq.writeBigUInt64LE(memory.address, IFREQ_UNION_AT);
    });
    if (typeof answer !== 'number') return memory.bytes.readUInt32LE(4);
    // An interface that knows nothing of an offload has it off.
    if (answer === EOPNOTSUPP) return 0;
    throw new TierbedError(
      'refused',
      `the kernel refuses offload settings of ${interfaceName}: ${libc.errorName(answer)}`,
      {
        fix: 'give the process the capability NET_ADMIN',
      },
    );
  } finally {
    memory.free();
  }
}
