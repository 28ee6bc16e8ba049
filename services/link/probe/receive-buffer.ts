import type { Socket } from 'node:dgram';
import { loadLibc } from '../system/libc.js';

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const WANTED_BYTES = 8 * 1024 * 1024;

/**
 * Gives a socket room for what comes while its thread waits for a processor, so that nothing gets lost here that the link
 * let through. Beyond the machine's limit only with NET_ADMIN; without, it has what the limit allows.
 */
export async function growReceiveBuffer(socket: Socket): Promise<void> {
  try {
    socket.setRecvBufferSize(WANTED_BYTES);
  } catch {
    // The system's default must do.
  }
  const { _handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } };
  if (process.platform !== 'linux' || _handle?.fd === undefined || _handle.fd < 0) return;
  try {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(WANTED_BYTES);
    (await loadLibc()).setsockopt(_handle.fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes, bytes.length);
  } catch {
    // Not privileged.
  }
}
