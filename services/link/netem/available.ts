import { messageOf, TierbedError } from '../../../base/errors.js';
import { redirectLines } from './commands.js';
import { ip, tc } from './tc.js';

interface Attempt {
  readonly line: string;
  /** What the kernel lacks where it refuses this line. */
  readonly needs: string;
}

/**
 * Why the chain cannot be built in this network namespace, found by building it on a device of its own, which it takes away
 * again; undefined when it can.
 */
export async function whyUnavailable(): Promise<string | undefined> {
  const device = `tbp${process.pid}`.slice(0, 15);
  try {
    await ip('link', 'add', device, 'type', 'ifb');
  } catch (error) {
    return explain(error, 'ifb');
  }
  try {
    for (const { line, needs } of attempts(device)) {
      try {
        await tc({ lines: [line], table: undefined });
      } catch (error) {
        return explain(error, needs);
      }
    }
    return undefined;
  } finally {
    await ip('link', 'del', device).catch(() => {});
  }
}

function attempts(device: string): Attempt[] {
  const [clsact, redirect] = redirectLines({ interfaceName: device, queueName: device }) as [string, string];
  return [
    { line: `qdisc replace dev ${device} root tbf rate 1mbit burst 2000 limit 2000`, needs: 'sch_tbf' },
    { line: `qdisc replace dev ${device} root netem rate 1mbit delay 1ms`, needs: 'sch_netem' },
    { line: clsact, needs: 'sch_ingress' },
    { line: redirect, needs: 'cls_matchall and act_mirred' },
  ];
}

function explain(error: unknown, module: string): string {
  const words = messageOf(error);
  if (error instanceof TierbedError && error.kind === 'missing' && error.fix) return `${words} (${error.fix})`;
  if (/Operation not permitted/.test(words)) {
    return 'it needs the capability NET_ADMIN in its network namespace (run as root, or give the container NET_ADMIN)';
  }
  return `this kernel has no ${module}: ${words} (load it with 'modprobe ${module.split(' ')[0]}', or use a kernel that has it)`;
}
