import { TierbedError } from '../../../base/errors.js';
import { ENODEV, type Libc } from './libc.js';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCGIFMTU = 0x8921;
/** `struct ifreq`: the interface's name, then a union. */
const IFREQ_BYTES = 40;
const IFREQ_UNION_AT = 16;

/**
 * Asks the kernel something about a network interface (`ioctl` with `struct ifreq`).
 *
 * @returns the structure as the kernel left it, or the error's number
 * @throws TierbedError `missing` if there is no such interface
 */
function interfaceRequest(libc: Libc, interfaceName: string, request: number): Buffer | number {
  const fd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new TierbedError('unavailable', `no socket for ${interfaceName}: ${libc.errorName(libc.errno())}`);
  try {
    const ifreq = Buffer.alloc(IFREQ_BYTES);
    ifreq.write(interfaceName, 0, IFREQ_UNION_AT - 1, 'latin1');
    if (libc.ioctl(fd, request, ifreq) === 0) return ifreq;
    const errno = libc.errno();
    if (errno === ENODEV) throw noInterface(interfaceName);
    return errno;
  } finally {
    libc.close(fd);
  }
}

export function noInterface(interfaceName: string): TierbedError {
  return new TierbedError('missing', `this network namespace has no interface '${interfaceName}'`, {
    fix: 'see its interfaces with ip link',
  });
}

/** The largest IP packet that an interface takes. @throws TierbedError `missing` */
export function mtuBytes(libc: Libc, interfaceName: string): number {
  const answer = interfaceRequest(libc, interfaceName, SIOCGIFMTU);
  if (typeof answer !== 'number') return answer.readInt32LE(IFREQ_UNION_AT);
  throw new TierbedError('unavailable', `the MTU of ${interfaceName} is unknown: ${libc.errorName(answer)}`);
}
