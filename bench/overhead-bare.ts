// The runtime by itself, as a process: a session and its runs, with the options that a node gives it. Reads a number of
// runs a line from stdin and answers with their times in ms as a line of JSON; the first line says that it is ready.
import { createInterface } from 'node:readline';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [path, shape] = process.argv.slice(2) as [string, string];
const session = await InferenceSession.create(path, {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
});
const dims = shape.split('x').map(Number);
const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i));
const feeds = { [session.inputNames[0] as string]: new Tensor('float32', values, dims) };
await session.run(feeds);
process.stdout.write('{"ready":true}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const times: number[] = [];
  for (let i = 0; i < Number(line); i++) {
    const start = performance.now();
    await session.run(feeds);
    times.push(performance.now() - start);
  }
  process.stdout.write(`${JSON.stringify(times)}\n`);
}
