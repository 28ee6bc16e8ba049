import { createServer, type Server } from 'node:net';
import { FrameReader, writeFrame } from './frame.js';

/** The far end of exercises: answers every frame with what it saw of it. */
export function answeringServer(): Server {
  return createServer({ noDelay: true }, (socket) => {
    const reader = new FrameReader(({ answerBytes }, seen) => {
      writeFrame(socket, { bytes: answerBytes, answerBytes: 0, seen });
    });
    socket.on('data', (data) => reader.push(data));
    socket.on('error', () => {});
  });
}
