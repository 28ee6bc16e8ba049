// npm run bench:wire [-- PART] : what gRPC as Tierbed sets it up takes to send a tensor, against a raw TCP socket and stock
// grpc-js on the same shaped link. PART limits the cells to those whose name holds it, and writes no result.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { LINK_DRIVERS } from '../services/link/index.js';
import type { LinkSettings, OpenLinks } from '../services/link/types.js';
import { atMost, type Figure, median, type Row, report } from './report.js';
import { type Addresses, CONTENDERS, type Contender, type Question } from './wire-protocol.js';

const SIZES = [10_000, 100_000, 1_000_000, 10_000_000, 50_000_000];
const RTTS_MS = [0, 5, 20, 50, 100];
/** 0: not limited. */
const RATES_MBPS = [10, 100, 1000, 0];
const MAX_CELL_MS = 5000;
/** The stock setup is not waited for longer than this. */
const MAX_STOCK_MS = 2500;
/** Stock grpc-js is held to one window a round trip. */
const STOCK_WINDOW_BYTES = 65_535;
const QUEUE_BYTES = 1_000_000;

interface Cell {
  readonly bytes: number;
  readonly rttMs: number;
  readonly rateMbps: number;
}

/** What the link alone takes for the tensor and the way there and back. */
function idealMs({ bytes, rttMs, rateMbps }: Cell): number {
  return rttMs + (rateMbps === 0 ? 0 : (bytes * 8) / (rateMbps * 1000));
}

function stockMs(cell: Cell): number {
  return idealMs(cell) + (cell.bytes / STOCK_WINDOW_BYTES) * cell.rttMs;
}

/** Rounds: many where they are short, three where they take seconds. */
function roundsOf(ms: number): number {
  return ms > 1000 ? 3 : ms > 300 ? 5 : ms > 30 ? 11 : 25;
}

function link({ rttMs, rateMbps }: Cell): LinkSettings {
  const direction = { rateMbps, delayMs: rttMs / 2, jitterMs: 0, queueBytes: QUEUE_BYTES };
  return { name: 'mobile-edge', up: direction, down: direction };
}

function start(file: string): ChildProcess {
  return fork(new URL(file, import.meta.url));
}

async function ask(sender: ChildProcess, question: Question): Promise<number> {
  const answered = once(sender, 'message');
  sender.send(question);
  const [message] = (await answered) as [{ answer: number } | { error: string }];
  if ('error' in message) throw new Error(message.error);
  return message.answer;
}

/** Runs the code of both processes often enough that it is compiled and optimised: some two thousand calls. */
async function warmUp(sender: ChildProcess, links: OpenLinks): Promise<void> {
  await ask(sender, { kind: 'open', addresses: addressesOf(links) });
  for (const [bytes, times] of [
    [10_000, 2000],
    [1_000_000, 30],
    [10_000_000, 3],
  ] as const) {
    for (let i = 0; i < times; i++) {
      for (const contender of CONTENDERS) await ask(sender, { kind: 'send', contender, bytes });
    }
  }
  await ask(sender, { kind: 'close' });
}

async function measure(sender: ChildProcess, links: OpenLinks, cell: Cell): Promise<Row> {
  await links.set(link(cell));
  const withStock = stockMs(cell) <= MAX_STOCK_MS;
  const contenders = CONTENDERS.filter((contender) => contender !== 'stock' || withStock);
  await ask(sender, { kind: 'open', addresses: addressesOf(links) });
  const times: Record<Contender, number[]> = { raw: [], tierbed: [], stock: [] };
  // The first message of each connection is not measured.
  for (const contender of contenders) {
    const ms = contender === 'stock' ? stockMs(cell) : idealMs(cell);
    await ask(sender, { kind: 'send', contender, bytes: ms > 300 ? 10_000 : cell.bytes });
  }
  const rounds = roundsOf(idealMs(cell));
  for (let round = 0; round < rounds; round++) {
    const order = contenders.map((_, i) => contenders[(i + round) % contenders.length] as Contender);
    for (const contender of order) {
      // One slow message of the stock setup says as much as many.
      if (contender === 'stock' && round > 0 && stockMs(cell) > 300) continue;
      times[contender].push(await ask(sender, { kind: 'send', contender, bytes: cell.bytes }));
    }
  }
  await ask(sender, { kind: 'close' });
  const rawMs = median(times.raw);
  const tierbedMs = median(times.tierbed);
  return {
    ...cell,
    rounds,
    idealMs: idealMs(cell),
    rawTcpMs: rawMs,
    tierbedMs,
    stockGrpcMs: times.stock.length > 0 ? median(times.stock) : null,
    ratio: tierbedMs / rawMs,
    addedMs: tierbedMs - rawMs,
    stockRatio: times.stock.length > 0 ? median(times.stock) / rawMs : null,
    note: withStock ? '' : `stock not run: about ${(stockMs(cell) / 1000).toFixed(0)} s`,
  };
}

function addressesOf(links: OpenLinks): Addresses {
  const address = (contender: Contender) => links.addresses.get(contender) as string;
  return { raw: address('raw'), tierbed: address('tierbed'), stock: address('stock') };
}

function verdictOf(rows: readonly Row[]): Record<string, Figure> {
  const measured = rows.filter((row) => typeof row.ratio === 'number');
  // Figures are of links that limit something: without a rate there is none, and this machine's processors decide.
  const limited = measured.filter((row) => row.rateMbps !== 0);
  const far = limited.filter((row) => (row.rttMs as number) >= 20).map((row) => row.ratio as number);
  const near = limited.filter((row) => row.rttMs === 0);
  // What is added to raw TCP, as a share of what may be: 1.5 ms and 1 ms a megabyte.
  const shares = near.map((row) => (row.addedMs as number) / (1.5 + (row.bytes as number) / 1e6));
  return {
    ...(far.length > 0 && {
      'ratio to raw TCP at RTT >= 20 ms and 10 to 1000 Mbit/s, median over cells': atMost(median(far), 1.05),
      'ratio to raw TCP at RTT >= 20 ms and 10 to 1000 Mbit/s, worst cell': atMost(Math.max(...far), 1.2),
    }),
    ...(shares.length > 0 && {
      'added at RTT 0 and 10 to 1000 Mbit/s as a share of 1.5 ms + 1 ms/MB, worst cell': atMost(Math.max(...shares), 1),
    }),
  };
}

const part = process.argv[2];
const cells = RTTS_MS.flatMap((rttMs) =>
  RATES_MBPS.flatMap((rateMbps) => SIZES.map((bytes): Cell => ({ bytes, rttMs, rateMbps }))),
).filter(({ bytes, rttMs, rateMbps }) => !part || `rtt${rttMs} rate${rateMbps} bytes${bytes}`.includes(part));

const receiver = start('./wire-receiver.js');
const sender = start('./wire-sender.js');
let links: OpenLinks | undefined;
try {
  const [addresses] = (await once(receiver, 'message')) as [Addresses];
  const routes = CONTENDERS.map((name) => ({ name, via: ['mobile-edge'] as const, target: addresses[name] }));
  const driver = LINK_DRIVERS.proxy;
  if (!driver) throw new Error('no proxy driver');
  links = await driver.open([link({ bytes: 0, rttMs: 0, rateMbps: 0 })], routes);
  await warmUp(sender, links);
  const rows: Row[] = [];
  for (const [i, cell] of cells.entries()) {
    const name = `${cell.bytes / 1e6} MB, RTT ${cell.rttMs} ms, ${cell.rateMbps || 'unlimited'} Mbit/s`;
    process.stderr.write(`${i + 1}/${cells.length} ${name}\n`);
    if (idealMs(cell) > MAX_CELL_MS) {
      rows.push({
        ...cell,
        idealMs: idealMs(cell),
        note: `not run: takes ${(idealMs(cell) / 1000).toFixed(0)} s or more`,
      });
    } else {
      rows.push(await measure(sender, links, cell));
    }
  }
  if (part) console.table(rows);
  else await report('wire', rows, verdictOf(rows));
  if (part) console.table(verdictOf(rows));
} finally {
  await links?.close();
  receiver.disconnect();
  sender.disconnect();
}
