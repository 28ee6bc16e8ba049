// A process that shapes one interface of the network namespace it runs in, and does what it is told on standard input:
// one JSON array a line, [method, ...arguments] of the driver or of what it opened; the answer is a line too.
import { createInterface } from 'node:readline';
import { TierbedError } from '../../../base/errors.js';
import { nfqueueDriver } from '../../../services/link/drivers/nfqueue.js';
import type { OpenInterface } from '../../../services/link/interface-driver.js';
import { readOffloads, setOffloads } from '../../../services/link/offloads.js';
import type { DirectionSettings } from '../../../services/link/types.js';

const open = new Map<string, OpenInterface>();

function opened(name: string): OpenInterface {
  const found = open.get(name);
  if (!found) throw new Error(`${name} is not open`);
  return found;
}

const calls: Readonly<Record<string, (name: string, ...args: never[]) => unknown>> = {
  unavailable: async () => (await nfqueueDriver.unavailable()) ?? null,
  open: async (name, settings: DirectionSettings) => {
    open.set(name, await nfqueueDriver.open(name, settings));
  },
  set: (name, settings: DirectionSettings, blocked?: boolean) => opened(name).set(settings, blocked),
  stats: (name) => opened(name).stats(),
  close: (name) => opened(name).close(),
  readOffloads: (name) => readOffloads(name),
  setOffloads: (name, wanted: object) => setOffloads(name, wanted),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  cpu2: () => process.cpuUsage(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [method, name, ...args] = JSON.parse(line) as [string, string, ...never[]];
  try {
    const result = await calls[method]?.(name, ...args);
    console.log(JSON.stringify({ ok: true, result: result ?? null }));
  } catch (error) {
    const kind = error instanceof TierbedError ? error.kind : 'defect';
    console.log(JSON.stringify({ ok: false, kind, message: error instanceof Error ? error.message : String(error) }));
  }
}
for (const each of open.values()) await each.close().catch(() => {});
