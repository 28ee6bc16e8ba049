// The far end of a probe. Says its port once it listens.
import { parentPort } from 'node:worker_threads';
import { becomeUrgent } from '../system/urgent.js';
import { answeringServer } from './answer.js';

becomeUrgent();
const server = answeringServer();
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') parentPort?.postMessage(address.port);
});
