import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { diskError } from '../../../base/disk-error.js';
import { TierbedError } from '../../../base/errors.js';

const LOCK_NAME = '.lock';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the kernel's ticks: a pid alone may belong to another process by now. */
  readonly startTicks: string;
}

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes a folder for this process alone. A lock whose process is gone is taken over.
 *
 * @throws TierbedError `refused` when another process has it
 */
export async function lockFolder(folder: string): Promise<Lock> {
  const path = join(folder, LOCK_NAME);
  const own = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  const owner: Owner = { pid: process.pid, host: hostname(), startTicks: await startTicks(process.pid) };
  const content = JSON.stringify(owner);
  try {
    await writeFile(own, content);
    for (let attempt = 0; attempt < 10; attempt++) {
      // A hard link appears whole or not at all: nobody reads half a lock.
      const taken = await link(own, path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (taken) return { release: () => releaseIfOwn(path, content) };
      await removeIfStale(path, folder, `${own}.stale`);
    }
  } catch (error) {
    throw diskError(error, folder);
  } finally {
    await rm(own, { force: true });
  }
  throw new TierbedError('refused', `${folder} is being taken by other runs`, {
    fix: 'Try again, or use another --out.',
  });
}

async function releaseIfOwn(path: string, content: string): Promise<void> {
  const found = await readFile(path, 'utf8').catch(() => undefined);
  if (found === content) await rm(path, { force: true });
}

async function removeIfStale(path: string, folder: string, aside: string): Promise<void> {
  const content = await readFile(path, 'utf8').catch(() => undefined);
  if (content === undefined) return;
  const owner = parseOwner(content);
  if (owner && (await isAlive(owner))) {
    const who = `process ${owner.pid}${owner.host === hostname() ? '' : ` on ${owner.host}`}`;
    throw new TierbedError('refused', `${folder} is in use by another run (${who})`, {
      fix: 'Wait until it ends, or write to another folder with --out.',
    });
  }
  // Moved aside first, so that of two that find it stale only one goes on; put back when it is no longer what was read.
  await rename(path, aside).catch(() => {});
  if ((await readFile(aside, 'utf8').catch(() => content)) !== content) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

function parseOwner(content: string): Owner | undefined {
  try {
    return JSON.parse(content) as Owner;
  } catch {
    return undefined;
  }
}

/** On another host it cannot be known, so it counts as alive. */
async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return (await startTicks(owner.pid)) === owner.startTicks;
}

/** Field 22 of /proc/PID/stat; '' where there is none. */
async function startTicks(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
