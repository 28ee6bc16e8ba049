import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../../base/paths.js';

/** What the guest's kernel is to have loaded. */
const MODULES = 'veth ifb sch_netem sch_tbf sch_ingress cls_matchall act_mirred';

/**
 * Runs a file of tests with Node in a virtual machine whose kernel has netem, and gives what it says as TAP.
 *
 * @param launcher a program that runs a script as root in such a machine, which sees this one's files: `launcher SCRIPT`
 */
export async function testsInVm(launcher: string, file: string): Promise<{ code: number; output: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'tierbed-vm-'));
  try {
    const script = join(folder, 'script');
    writeFileSync(script, `exec '${process.execPath}' --test-reporter=tap --enable-source-maps '${file}'\n`);
    return await new Promise((resolve, reject) => {
      const child = spawn('bash', [launcher, script], {
        cwd: packageRoot,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { VM_MODULES: MODULES, VM_MEM: '1024M', VM_TIMEOUT: '400', ...cacheOf(launcher), ...process.env },
      });
      const chunks: Buffer[] = [];
      child.stdout.on('data', (data: Buffer) => chunks.push(data));
      child.stderr.on('data', (data: Buffer) => chunks.push(data));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? -1, output: Buffer.concat(chunks).toString('utf8') }));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The launcher keeps its kernel beside itself; where it cannot, it is told of another place. */
function cacheOf(launcher: string): Record<string, string> {
  try {
    accessSync(dirname(launcher), constants.W_OK);
    return {};
  } catch {
    return { VM_CACHE: join(tmpdir(), 'tierbed-netem-vm') };
  }
}

/** A test that the guest ran, and what it said of it. */
export interface GuestTest {
  readonly name: string;
  readonly ok: boolean;
  readonly said: string;
}

/** The outermost tests of a TAP text. */
export function testsOf(tap: string): GuestTest[] {
  const tests: GuestTest[] = [];
  let said: string[] = [];
  for (const line of tap.split('\n')) {
    const match = /^(not )?ok \d+ - (.*)$/.exec(line);
    if (match) {
      said = [];
      tests.push({ name: (match[2] as string).replaceAll('\\#', '#'), ok: !match[1], said: '' });
    } else if (tests.length > 0) {
      said.push(line);
      tests[tests.length - 1] = { ...(tests.at(-1) as GuestTest), said: said.join('\n') };
    }
  }
  return tests;
}
