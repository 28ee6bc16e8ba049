// One side of the memory test, in a process of its own: `server`, or `client ADDRESS BYTES`.
import { readFileSync } from 'node:fs';
import { denseTensor, type NamedTensor } from '../../../onnx/tensor.js';
import { connect, InferenceClient } from '../../../services/rpc/client.js';
import type { InferRequest, InferResponse } from '../../../services/rpc/codec/messages.js';
import { echo, startEcho } from './echo.js';

/** `VmRSS` or `VmHWM` (its highest so far) of this process, in bytes (proc_pid_status(5)). */
function memory(key: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`${key}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match?.[1]) * 1024;
}

function request(modelName: string, bytes: number): InferRequest {
  const data = new Uint8Array(bytes).fill(7);
  return { modelName, parameters: new Map(), inputs: [{ name: 'x', tensor: denseTensor('uint8', [bytes], data) }] };
}

/** The last byte of the only tensor. */
function last(tensors: readonly NamedTensor[]): number {
  const [only] = tensors;
  return only?.tensor.dtype === 'uint8' ? (only.tensor.data.at(-1) ?? -1) : -1;
}

/** Answers a byte for a tensor, unless the model is `echo`. */
async function answer(asked: InferRequest): Promise<InferResponse> {
  if (asked.modelName === 'echo') return echo(asked);
  return echo({
    ...asked,
    inputs: [{ name: 'last', tensor: denseTensor('uint8', [1], Uint8Array.of(last(asked.inputs))) }],
  });
}

const [side, address, model, bytes] = process.argv.slice(2);
if (side === 'server') {
  const server = await startEcho({ modelInfer: answer });
  let before = 0;
  process.on('message', async (message) => {
    if (message === 'begin') {
      before = memory('VmRSS');
      process.send?.('begun');
    } else {
      process.send?.(memory('VmHWM') - before);
      await server.close(0);
      process.disconnect();
    }
  });
  process.send?.(server.address);
} else {
  const channel = connect(address as string);
  const client = new InferenceClient(channel);
  await client.infer(request(model as string, 1000));
  process.once('message', async () => {
    const before = memory('VmRSS');
    const { outputs } = await client.infer(request(model as string, Number(bytes)));
    if (last(outputs) !== 7) throw new Error('a wrong answer');
    process.send?.(memory('VmHWM') - before);
    channel.close();
    process.disconnect();
  });
  process.send?.('ready');
}
