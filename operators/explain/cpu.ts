import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** What the processor can do that int8 kernels live by. */
export interface Cpu {
  /** As the system calls it; '' where it does not say. */
  readonly name: string;
  /** Node's name of the architecture: `x64`, `arm64`... */
  readonly arch: string;
  /**
   * Instructions that multiply and add 8-bit integers in one step, the widest first: `amx_int8`, `avx512_vnni`,
   * `avx_vnni`, `i8mm`, `dotprod`. Empty when it has none; undefined when it is not known.
   */
  readonly dotProducts: readonly string[] | undefined;
}

/** Flags of /proc/cpuinfo by architecture, and what they are called here. */
const FLAGS: Readonly<Record<string, readonly (readonly [flag: string, name: string])[]>> = {
  x64: [
    ['amx_int8', 'amx_int8'],
    ['avx512_vnni', 'avx512_vnni'],
    ['avx_vnni', 'avx_vnni'],
  ],
  arm64: [
    ['i8mm', 'i8mm'],
    ['asimddp', 'dotprod'],
  ],
};

/** The instructions that a text as /proc/cpuinfo's names; undefined for an architecture that is not in the table. */
export function dotProductsOf(cpuinfo: string, arch: string): readonly string[] | undefined {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1];
  if (line === undefined || !Object.hasOwn(FLAGS, arch)) return undefined;
  const flags = new Set(line.trim().split(/\s+/));
  return FLAGS[arch]?.filter(([flag]) => flags.has(flag)).map(([, name]) => name);
}

/** This machine's processor. Only Linux says what it can do without a program of one's own. */
export async function thisCpu(): Promise<Cpu> {
  const arch = process.arch;
  const cpuinfo = process.platform === 'linux' ? await readFile('/proc/cpuinfo', 'utf8').catch(() => '') : '';
  return { name: cpus()[0]?.model.trim() ?? '', arch, dotProducts: dotProductsOf(cpuinfo, arch) };
}
