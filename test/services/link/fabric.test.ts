import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fabric, Flow, type Parcel, Station } from '../../../services/link/proxy/fabric.js';
import { Shaper } from '../../../services/link/shaping/shaper.js';
import type { DirectionSettings } from '../../../services/link/types.js';

const plain: DirectionSettings = { delayMs: 0, jitterMs: 0, queueBytes: 64 * 1514 };
const station = (settings: Partial<DirectionSettings>) =>
  new Station(new Shaper({ ...plain, ...settings }, { normal: () => 0, uniform: () => 0.5 }, 0));
const data = (bytes: number, fill = 0): Parcel => ({ kind: 'data', data: Buffer.alloc(bytes, fill) });

interface Receiver {
  readonly flow: Flow;
  readonly got: Parcel[];
  readonly holds: boolean[];
  bytes(): number;
}

function flow(...stations: Station[]): Receiver {
  const got: Parcel[] = [];
  const holds: boolean[] = [];
  return {
    flow: new Flow(stations, { deliver: (parcel) => got.push(parcel), hold: (held) => holds.push(held) }),
    got,
    holds,
    bytes: () => got.reduce((sum, parcel) => sum + (parcel.kind === 'data' ? parcel.data.length : 0), 0),
  };
}

/** When the last thing that is on its way arrives. */
function runOut(fabric: Fabric): number {
  let lastMs = Number.NaN;
  while (fabric.nextMs < Number.POSITIVE_INFINITY) {
    lastMs = fabric.nextMs;
    fabric.advance(lastMs);
  }
  return lastMs;
}

test('two links in series pipeline packet by packet', () => {
  const [a, b] = [station({ rateMbps: 10, delayMs: 5 }), station({ rateMbps: 10, delayMs: 7 })];
  const fabric = new Fabric([a, b]);
  const one = flow(a, b);
  one.flow.send(data(10 * 1448), 0);
  // Ten packets of 1.2112 ms on the first link, the last of them once more on the second.
  assert.equal(Math.round(runOut(fabric) * 1e6) / 1e6, 12 + 11 * 1.2112);
  assert.equal(one.bytes(), 14_480);
});

test('a slow link behind a fast one sets the pace, and the other way round', () => {
  for (const rates of [
    [100, 1],
    [1, 100],
  ]) {
    const stations = rates.map((rateMbps) => station({ rateMbps }));
    const one = flow(...stations);
    const fabric = new Fabric(stations);
    one.flow.send(data(100 * 1448), 0);
    assert.equal(Math.round(runOut(fabric) * 1e6) / 1e6, Math.round((100 * 12.112 + 0.12112) * 1e6) / 1e6);
  }
});

test('looking rarely changes no time', () => {
  const stations = () => [
    station({ rateMbps: 10, delayMs: 1 }),
    station({ rateMbps: 5, delayMs: 2, queueBytes: 3 * 1514 }),
  ];
  const often = stations();
  const seldom = stations();
  const [x, y] = [flow(...often), flow(...seldom)];
  x.flow.send(data(200_000), 0);
  y.flow.send(data(200_000), 0);
  const end = runOut(new Fabric(often));
  const late = new Fabric(seldom);
  late.advance(end - 0.001);
  assert.ok(y.bytes() < 200_000);
  late.advance(end);
  assert.equal(y.bytes(), 200_000);
  assert.equal(x.bytes(), 200_000);
});

test('flows over one link take turns and together get its rate', () => {
  const link = station({ rateMbps: 10 });
  const fabric = new Fabric([link]);
  const [a, b] = [flow(link), flow(link)];
  a.flow.send(data(2_000_000), 0);
  b.flow.send(data(2_000_000), 0);
  fabric.advance(1000);
  const sent = a.bytes() + b.bytes();
  const full = (10e6 / 8) * (1448 / 1514);
  assert.ok(Math.abs(sent - full) <= 2 * 1448, `${sent} of ${full}`);
  // The first one filled the queue before the second came.
  assert.ok(Math.abs(a.bytes() - b.bytes()) <= 65 * 1448, `${a.bytes()} and ${b.bytes()}`);
});

test('bytes keep their order and are the same over any links', () => {
  const [a, b] = [station({ rateMbps: 500, delayMs: 3 }), station({ rateMbps: 20, queueBytes: 1514 })];
  const fabric = new Fabric([a, b]);
  const one = flow(a, b);
  const sent: Buffer[] = [];
  for (let i = 0; i < 40; i++) {
    const piece = Buffer.alloc(1 + ((i * 977) % 5000), i);
    sent.push(piece);
    one.flow.send({ kind: 'data', data: piece }, i * 0.2);
  }
  one.flow.send({ kind: 'end' }, 9);
  runOut(fabric);
  assert.equal(one.got.at(-1)?.kind, 'end');
  assert.deepEqual(
    Buffer.concat(one.got.map((p) => (p.kind === 'data' ? p.data : Buffer.alloc(0)))),
    Buffer.concat(sent),
  );
});

test('a sender that is too far ahead is held until half of it has gone', () => {
  const link = station({ rateMbps: 100 });
  const fabric = new Fabric([link]);
  const one = flow(link);
  for (let i = 0; i < 20; i++) one.flow.send(data(65_536), 0);
  assert.deepEqual(one.holds, [true]);
  runOut(fabric);
  assert.deepEqual(one.holds, [true, false]);
});

test('nothing enters while the receiver is busy, and the time lost is not made up', () => {
  const link = station({ rateMbps: 10 });
  const fabric = new Fabric([link]);
  const one = flow(link);
  one.flow.receiver(true, 0);
  one.flow.send(data(1448), 0);
  fabric.advance(500);
  assert.equal(one.bytes(), 0);
  one.flow.receiver(false, 500);
  assert.equal(Math.round(fabric.nextMs * 1e6) / 1e6, 501.2112);
  fabric.advance(502);
  assert.equal(one.bytes(), 1448);
});

test('a busy receiver of one flow does not hold another', () => {
  const link = station({ rateMbps: 10 });
  const fabric = new Fabric([link]);
  const [busy, free] = [flow(link), flow(link)];
  busy.flow.receiver(true, 0);
  busy.flow.send(data(100_000), 0);
  free.flow.send(data(100_000), 0);
  fabric.advance(1000);
  assert.equal(busy.bytes(), 0);
  assert.equal(free.bytes(), 100_000);
});

test('what waits between two links is bounded', () => {
  const [fast, slow] = [station({}), station({ rateMbps: 0.001 })];
  const fabric = new Fabric([fast, slow]);
  const one = flow(fast, slow);
  let sent = 0;
  for (let i = 0; i < 2000 && !one.holds.at(-1); i++) {
    one.flow.send(data(65_536), i);
    sent += 65_536;
    fabric.advance(i);
  }
  assert.equal(one.holds.at(-1), true, `${sent} bytes went in and the sender was not held`);
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes went in`);
});

test('a reset drops what has not left, follows what has, and ends the flow, busy receiver or not', () => {
  const link = station({ rateMbps: 1, delayMs: 10, queueBytes: 1514 });
  const fabric = new Fabric([link]);
  const one = flow(link);
  one.flow.send(data(1448, 1), 0);
  one.flow.receiver(true, 0);
  one.flow.send(data(1448, 2), 0);
  one.flow.send({ kind: 'reset' }, 1);
  one.flow.send(data(1, 3), 2);
  runOut(fabric);
  assert.deepEqual(
    one.got.map((p) => p.kind),
    ['data', 'reset'],
  );
});

test('a blocked station lets nothing in, and what waited arrives as if it had come when it opened', () => {
  const a = station({ delayMs: 5 });
  const fabric = new Fabric([a]);
  const f = flow(a);
  f.flow.send(data(100), 0);
  a.block(true, 1);
  f.flow.send(data(200), 2);
  assert.equal(runOut(fabric), 5, 'what was on its way goes on');
  assert.equal(f.bytes(), 100);
  assert.equal(fabric.nextMs, Infinity, 'and nobody is woken for the rest');
  a.block(false, 50);
  assert.equal(runOut(fabric), 55);
  assert.equal(f.bytes(), 300);
});
