// The far end of a probe: answers every frame with what it saw of it. Says its port once it listens.
import { createServer } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { becomeUrgent } from '../urgent.js';
import { FrameReader, writeFrame } from './frame.js';

becomeUrgent();
const server = createServer({ noDelay: true }, (socket) => {
  const reader = new FrameReader(({ answerBytes }, seen) => {
    writeFrame(socket, { bytes: answerBytes, answerBytes: 0, seen });
  });
  socket.on('data', (data) => reader.push(data));
  socket.on('error', () => {});
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') parentPort?.postMessage(address.port);
});
