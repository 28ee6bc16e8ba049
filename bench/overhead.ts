// npm run bench:overhead: what a node adds to `session.run` for a model of about a millisecond, warm, on loopback, and
// what other ways of serving the same file add. Every side is a process; they take turns, in an order that changes.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProgress } from '../cli/progress.js';
import { overheadModel, SIDE } from './overhead-model.js';
import { type Absent, bareRuntime, flask, mlserver, type Side, type Subject, tierbedNode } from './overhead-sides.js';
import { atMost, median, type Row, report } from './report.js';

/** A node at work is what is asked about: until V8 has optimised a path, after a thousand requests or two, it costs double. */
const WARM_UP = 2000;
const ROUNDS = 20;
const REQUESTS_A_ROUND = 50;

const folder = await mkdtemp(join(tmpdir(), 'tierbed-overhead-'));
const sides: (Side | Absent)[] = [];
const progress = createProgress();
try {
  const shape = [1, 3, SIDE, SIDE];
  const subject: Subject = {
    modelPath: join(folder, 'model.onnx'),
    input: 'input',
    shape,
    values: Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => Math.sin(i)),
    folder,
  };
  await writeFile(subject.modelPath, overheadModel());
  const bare = await bareRuntime(subject);
  sides.push(bare);
  const node = await tierbedNode(subject);
  sides.push(node, await mlserver(subject), await flask('warm', subject), await flask('cold', subject));
  const present = sides.filter((side): side is Side => !('absent' in side));
  progress.start('warming up', present.length);
  for (const [i, side] of present.entries()) {
    progress.update(i, side.name);
    await side.measure(WARM_UP);
  }
  progress.stop();

  const times = new Map<Side, number[]>(present.map((side) => [side, []]));
  progress.start('rounds', ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of rotated(present, round)) times.get(side)?.push(...(await side.measure(REQUESTS_A_ROUND)));
    progress.update(round + 1);
  }
  progress.stop();

  const bareMs = median(times.get(bare) as number[]);
  const rows: Row[] = [];
  for (const side of sides) {
    if ('absent' in side) {
      rows.push({ server: side.name, requests: 0, note: side.absent });
      process.stderr.write(`absent: ${side.name}: ${side.absent}\n`);
      continue;
    }
    const own = times.get(side) as number[];
    const medianMs = median(own);
    rows.push({
      server: side.name,
      requests: own.length,
      medianMs,
      p90Ms: own.toSorted((a, b) => a - b)[Math.floor(own.length * 0.9)] as number,
      overheadMs: medianMs - bareMs,
      residentMB: await side.residentMB(),
      note: '',
    });
  }
  await report('overhead', rows, {
    'overhead of a node in ms': atMost(median(times.get(node) as number[]) - bareMs, 1.0),
    'memory of a node beyond the bare runtime in MB': atMost(
      (await node.residentMB()) - (await bare.residentMB()),
      120,
    ),
  });
} finally {
  progress.stop();
  for (const side of sides) if (!('absent' in side)) await side.close();
  await rm(folder, { recursive: true, force: true });
}

/** The sides in another order each round: each is as often first as last. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const shift = by % items.length;
  const turned = [...items.slice(shift), ...items.slice(0, shift)];
  return Math.floor(by / items.length) % 2 === 0 ? turned : turned.reverse();
}
