import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainCounts, since } from '../../../../services/link/netem/stats.js';
import type { QdiscReport } from '../../../../services/link/netem/tc.js';

// As `tc -s -j qdisc` of iproute2 6.1 prints them, what is not read left out.
const onInterface: QdiscReport[] = JSON.parse(`[
  {"kind":"netem","handle":"7b:","dev":"va","root":true,"refcnt":2,"options":{"limit":100000},"bytes":1960,"packets":20,"drops":3,"overlimits":0,"backlog":500,"qlen":1},
  {"kind":"clsact","handle":"ffff:","dev":"va","parent":"ffff:fff1","options":{},"bytes":3920,"packets":40,"drops":9,"backlog":0,"qlen":0}]`);
const onQueue: QdiscReport[] = JSON.parse(`[
  {"kind":"tbf","handle":"7b:","dev":"tbq7","root":true,"refcnt":2,"options":{"rate":1250000},"bytes":1960,"packets":20,"drops":6,"backlog":3028,"qlen":2}]`);

test('what passed and what was lost is netem’s, what waits and what was dropped is TBF’s', () => {
  const counts = chainCounts(onInterface, onQueue);
  assert.deepEqual(counts, { packets: 20, bytes: 1960, lost: 3, dropped: 6, waitingBytes: 3028 });
  assert.ok(counts);
  const later = { packets: 25, bytes: 2460, lost: 4, dropped: 6, waitingBytes: 7 };
  assert.deepEqual(since(counts, later), {
    packets: 5,
    bytes: 500,
    lostPackets: 1,
    droppedPackets: 0,
    queuedBytes: 7,
  });
});

test('a chain that somebody took away is not taken for one that counts nothing', () => {
  assert.equal(chainCounts(onInterface.slice(1), onQueue), undefined);
  assert.equal(chainCounts(onInterface, []), undefined);
  assert.equal(chainCounts([{ ...(onInterface[0] as QdiscReport), handle: '8001:' }], onQueue), undefined);
});
