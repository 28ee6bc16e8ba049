import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Random } from '../../../base/random.js';
import { FrameDecoder } from '../../../services/rpc/frame-decoder.js';

function frame(message: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

it('gives the same frames however they are cut', () => {
  const random = new Random(7);
  for (let round = 0; round < 200; round++) {
    const frames = Array.from({ length: random.integer(6) }, () => {
      const length = random.pick([0, 1, 4, 5, 6, random.integer(5000)]);
      return frame(Buffer.alloc(length, random.uint32() & 0xff));
    });
    const stream = Buffer.concat(frames);
    const decoder = new FrameDecoder(5000);
    const got: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const take = 1 + random.integer(random.pick([1, 7, 10_000]));
      got.push(...decoder.write(stream.subarray(at, at + take)));
      at += take;
    }
    assert.deepEqual(got, frames);
  }
});

it('refuses a message over the limit before it comes, and takes one at it', () => {
  assert.throws(() => new FrameDecoder(10).write(frame(Buffer.alloc(11)).subarray(0, 5)), /11 vs 10/);
  assert.equal(new FrameDecoder(10).write(frame(Buffer.alloc(10))).length, 1);
});
