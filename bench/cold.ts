// npm run bench:cold: how much of a latency that contains a model load is the load. The published study (arXiv:2411.00907)
// made a session in every request; this measures, for its eight networks, making that session from a file in the page
// cache against the one run that follows it. What else its requests paid for (HTTP, JSON, pictures) is left out.
import { execFile } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createProgress } from '../cli/progress.js';
import { ARCHITECTURES, type Architecture } from '../workloads/zoo/architectures.js';
import { buildFile } from '../workloads/zoo/build-file.js';
import type { ColdTimes } from './cold-child.js';
import { atLeast, median, type Row, report } from './report.js';

const REPEATS = 5;
const CHILD = fileURLToPath(new URL('./cold-child.js', import.meta.url));
const run = promisify(execFile);
const stopped = new AbortController();

/** All times of one network: its file is built, read into the page cache, measured and deleted. */
async function measure(network: Architecture, folder: string): Promise<Row> {
  const progress = createProgress();
  const path = join(folder, `${network.name}.onnx`);
  try {
    const { bytes } = await buildFile(network, path, { progress });
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), async (chunks) => {
      for await (const _ of chunks);
    });
    const times: ColdTimes[] = [];
    progress.start(`${network.name}: sessions`, REPEATS);
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const { stdout } = await run(process.execPath, [CHILD, path], { signal: stopped.signal });
      times.push(JSON.parse(stdout) as ColdTimes);
      progress.update(repeat + 1);
    }
    progress.stop();
    const of = (pick: (t: ColdTimes) => number) => median(times.map(pick));
    return {
      model: network.name,
      bytes,
      loadMs: of((t) => t.loadMs),
      computeMs: of((t) => t.firstRunMs),
      warmComputeMs: of((t) => t.warmRunMs),
      loadShare: of((t) => t.loadMs / (t.loadMs + t.firstRunMs)),
    };
  } finally {
    await rm(path, { force: true });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'tierbed-cold-'));
process.on('exit', () => {
  stopped.abort();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const rows: Row[] = [];
// One network at a time, as the files are large; load and compute of a share are always of one process.
for (const network of ARCHITECTURES) rows.push(await measure(network, folder));
// A share above one half: the network's load takes longer than its compute.
const shares = rows.map((row) => row.loadShare as number);
await report('cold', rows, {
  loadShareMedian: atLeast(median(shares), 0.5),
  loadShareMin: atLeast(Math.min(...shares), 0.5),
});
