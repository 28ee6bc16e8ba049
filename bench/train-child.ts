// Our side of bench:train, as a process of its own: bench/peers/train.py says what it answers.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { readModel } from '../onnx/read.js';
import { decodeItemFile } from '../workloads/item-file.js';
import { peakMemoryBytes } from './peak-memory.js';
import { benchModel } from './train-models.js';
import type { Job } from './train-sides.js';
import { classifierGraph, openTrainee, type Trainee, weightArrays } from './train-step.js';

// One line for the table, not a stack.
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});

async function open(job: Job): Promise<Trainee> {
  const { batch, classes, dims = {} } = benchModel(job.model);
  const model = await readModel(job.onnx);
  const graph = await classifierGraph(model, { batch, classes, dims });
  return openTrainee(graph, weightArrays(model, graph), job.optimizer, job.threads);
}

const job = JSON.parse(await readFile(process.argv[2] as string, 'utf8')) as Job;
const startBytes = await peakMemoryBytes();
const inputs = decodeItemFile(Uint8Array.from(await readFile(job.item)));
const trainee = await open(job);
process.stdout.write(`${JSON.stringify({ version: 'Tierbed', startBytes })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { steps } = JSON.parse(line) as { steps: number };
  const answer = { ms: [] as number[], cpuMs: [] as number[], loss: [] as number[] };
  for (let i = 0; i < steps; i++) {
    const [startMs, cpu] = [performance.now(), process.cpuUsage()];
    const loss = await trainee.step(inputs);
    const { user, system } = process.cpuUsage(cpu);
    answer.ms.push(performance.now() - startMs);
    answer.cpuMs.push((user + system) / 1000);
    answer.loss.push(loss);
  }
  process.stdout.write(`${JSON.stringify({ ...answer, peakMemoryBytes: await peakMemoryBytes() })}\n`);
}
await trainee.close();
