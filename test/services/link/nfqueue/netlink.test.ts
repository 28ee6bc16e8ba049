import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ACCEPT,
  bindMessage,
  copyMessage,
  DROP,
  decode,
  type QueuedPacket,
  VERDICT_BYTES,
  writeVerdict,
} from '../../../../services/link/nfqueue/netlink.js';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const fresh = (): QueuedPacket => ({ id: 7, ipBytes: 7, superPacket: true, atUs: 7 });

test('binding asks for the queue, its length and an answer', () => {
  assert.deepEqual(
    bindMessage(9, 0x5402, 0x40000),
    bytes(`
      24000000 0203 0500 09000000 00000000  00 00 5402
      0800 0100 01 00 0000
      0800 0300 00040000
    `),
  );
});

test('asking for packets sets what is copied, and the one flag', () => {
  assert.deepEqual(
    copyMessage(0, 3, 4, true),
    bytes(`
      30000000 0203 0100 00000000 00000000  00 00 0003
      0900 0200 00000004 02 000000
      0800 0500 00000004
      0800 0400 00000004
    `),
  );
  assert.deepEqual(copyMessage(0, 3, 4, false).subarray(32, 40), bytes('0800 0500 00000000'));
});

test('verdicts lie one behind the other, on one packet or all up to one', () => {
  const buffer = Buffer.alloc(2 * VERDICT_BYTES);
  const end = writeVerdict(buffer, 0, 0x5402, DROP, 0x01020304, false);
  assert.equal(writeVerdict(buffer, end, 0x5402, ACCEPT, 0xfffffffe, true), 64);
  assert.deepEqual(
    buffer,
    bytes(`
      20000000 0103 0100 00000000 00000000  00 00 5402  0c00 0200 00000000 01020304
      20000000 0303 0100 00000000 00000000  00 00 5402  0c00 0200 00000001 fffffffe
    `),
  );
});

/** As the kernel sent it: an echo request of 84 bytes of which 4 were asked for. */
const PACKET = `
  78000000 0003 0000 00000000 00000000  02 00 5402
  0b00 0100 00000011 0800 00 00
  0800 0500 00000002
  1000 0900 0006 0000 02fc 9a01 22b3 0000
  0800 0d00 00000054
  0800 0e00 00000000
  1400 0400 000000006a3b0c01 0000000000012345
  0800 0a00 45000054
`;

test('a packet says its id, its true length and when it came', () => {
  const message = bytes(PACKET);
  message.writeUInt32LE(message.length);
  const packet = fresh();
  assert.equal(decode(message, 0, message.length, packet), 'packet');
  assert.deepEqual(packet, { id: 17, ipBytes: 84, superPacket: false, atUs: 0x6a3b0c01 * 1e6 + 0x12345 });
});

test('a packet that fits what was asked for is as long as what came', () => {
  const message = bytes(`
    28000000 0003 0000 00000000 00000000  02 00 0000
    0b00 0100 80000001 0800 00 00
    0700 0a00 450000 00
  `);
  const packet = fresh();
  assert.equal(decode(message, 0, message.length, packet), 'packet');
  assert.deepEqual(packet, { id: 0x80000001, ipBytes: 3, superPacket: false, atUs: 0 });
});

test('several segments in one are marked', () => {
  const message = bytes(`
    28000000 0003 0000 00000000 00000000  02 00 0000
    0b00 0100 00000005 0800 00 00
    0800 0e00 00000003
  `);
  const packet = fresh();
  decode(message, 0, message.length, packet);
  assert.equal(packet.superPacket, true);
});

test('an answer carries the number of the error', () => {
  const packet = fresh();
  const refused = bytes('24000000 0200 0000 01000000 00000000 ffffffff 24000000 02030500 01000000 00000000');
  assert.equal(decode(refused, 0, refused.length, packet), 'answer');
  assert.equal(packet.id, 1);
  const fine = bytes('24000000 0200 0000 01000000 00000000 00000000 24000000 02030500 01000000 00000000');
  decode(fine, 0, fine.length, packet);
  assert.equal(packet.id, 0);
});

test('what is cut short or of another kind is passed over', () => {
  const message = bytes(PACKET);
  message.writeUInt32LE(message.length);
  for (let end = 0; end < 31; end++) assert.equal(decode(message, 0, end, fresh()), 'other', `${end} bytes`);
  const other = Buffer.from(message);
  other.writeUInt16LE(0x0102, 4);
  assert.equal(decode(other, 0, other.length, fresh()), 'other');
  const endless = Buffer.from(message);
  endless.writeUInt16LE(0, 20);
  assert.equal(decode(endless, 0, endless.length, fresh()), 'other');
});
