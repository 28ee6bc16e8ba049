// One end of a measurement between two machines: answers the other end's messages and datagrams, and sends its own. Says
// its ports once it listens.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../base/errors.js';
import { becomeUrgent } from '../system/urgent.js';
import { answeringServer } from './answer.js';
import type { EndAnswer, EndOrder, EndResult } from './end.js';
import { exercise } from './exercise.js';
import { PacketEnd } from './packets.js';

becomeUrgent();
const { host } = workerData as { readonly host: string };
const server = answeringServer();
server.listen(0, host);
await once(server, 'listening');
const packets = await PacketEnd.open(host);

async function follow(order: EndOrder): Promise<EndResult> {
  switch (order.kind) {
    case 'exchange':
      return { exchanges: await exercise(order.exercise) };
    case 'send':
      await packets.send(order.target, order.run);
      return {};
    case 'echo':
      return { exchanges: await packets.echo(order.target, order.run) };
    case 'collect':
      return { arrivals: packets.collect(order.run) };
  }
}

parentPort?.on('message', async (order: EndOrder) => {
  let answer: EndAnswer;
  try {
    answer = { id: order.id, result: await follow(order) };
  } catch (error) {
    answer = { id: order.id, error: messageOf(error) };
  }
  parentPort?.postMessage(answer);
});
parentPort?.postMessage({ tcpPort: (server.address() as AddressInfo).port, udpPort: packets.port });
