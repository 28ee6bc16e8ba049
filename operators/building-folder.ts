import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { undoOnExit } from '../base/clean-up.js';
import { isAlive, type ProcessOwner, thisProcess } from '../base/process-owner.js';

/** A folder whose process is gone is not touched before: so long after, nobody is still looking at what it was doing. */
const OLD_MS = 3_600_000;
/** Nor one whose process cannot be asked for: on another host, or in another container. */
const FOREIGN_OLD_MS = 7 * 24 * 3_600_000;

/** A folder to build something in, before it gets its name. */
export interface BuildingFolder {
  readonly path: string;
  /** Removes it with what is left in it. Never fails: what cannot be removed now, a later run does. */
  remove(): Promise<void>;
}

/**
 * Makes a new, empty folder, whose name says which process it belongs to. It does not outlive that process, unless the
 * process is killed.
 *
 * @param prefix what the folders begin with that are for the same thing
 */
export async function makeBuildingFolder(parent: string, prefix = 'building'): Promise<BuildingFolder> {
  const { pid, startTicks, host } = thisProcess();
  const path = await mkdtemp(join(parent, `${prefix}-${pid}-${startTicks || 0}-${hashOf(host)}-`));
  const forget = undoOnExit(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true }).catch(() => {});
      forget();
    },
  };
}

/** Removes the folders that processes left which were killed while they were building. Never fails. */
export async function removeAbandoned(parent: string, prefix = 'building', nowMs = Date.now()): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(`${prefix}-`)) continue;
    const folder = join(parent, name);
    const found = await stat(folder).catch(() => undefined);
    if (!found?.isDirectory()) continue;
    const alive = isOwnerAlive(name.slice(prefix.length + 1));
    if (alive || nowMs - found.mtimeMs < (alive === undefined ? FOREIGN_OLD_MS : OLD_MS)) continue;
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

function isOwnerAlive(name: string): boolean | undefined {
  const [, pid, ticks = '', hash] = /^(\d+)-(\d+)-([0-9a-f]{8})-/.exec(name) ?? [];
  const { host } = thisProcess();
  if (pid === undefined || hash !== hashOf(host)) return undefined;
  const owner: ProcessOwner = { pid: Number(pid), startTicks: ticks === '0' ? '' : ticks, host };
  return isAlive(owner);
}

function hashOf(host: string): string {
  return createHash('sha256').update(host).digest('hex').slice(0, 8);
}
