// What bench:wire measures on one shaped link: gRPC as Tierbed sets it up, a raw TCP socket and stock grpc-js.
import type { DirectionSettings } from '../services/link/types.js';
import { atMost, type Figure, median, type Row, report } from './report.js';
import type { WirePeer } from './wire-peer.js';
import { type Addresses, CONTENDERS, type Contender } from './wire-protocol.js';

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

export interface Cell {
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

/** Both directions of a cell's link. */
export function directionOf({ rttMs, rateMbps }: Cell): DirectionSettings {
  return { rateMbps, delayMs: rttMs / 2, jitterMs: 0, queueBytes: QUEUE_BYTES };
}

/** Runs the code of both processes often enough that it is compiled and optimised: some two thousand calls. */
async function warmUp(sender: WirePeer, addresses: Addresses): Promise<void> {
  await sender.ask({ kind: 'open', addresses });
  for (const [bytes, times] of [
    [10_000, 2000],
    [1_000_000, 30],
    [10_000_000, 3],
  ] as const) {
    for (let i = 0; i < times; i++) {
      for (const contender of CONTENDERS) await sender.ask({ kind: 'send', contender, bytes });
    }
  }
  await sender.ask({ kind: 'close' });
}

async function measure(sender: WirePeer, addresses: Addresses, cell: Cell): Promise<Row> {
  const withStock = stockMs(cell) <= MAX_STOCK_MS;
  const contenders = CONTENDERS.filter((contender) => contender !== 'stock' || withStock);
  await sender.ask({ kind: 'open', addresses });
  const times: Record<Contender, number[]> = { raw: [], tierbed: [], stock: [] };
  // The first message of each connection is not measured.
  for (const contender of contenders) {
    const ms = contender === 'stock' ? stockMs(cell) : idealMs(cell);
    await sender.ask({ kind: 'send', contender, bytes: ms > 300 ? 10_000 : cell.bytes });
  }
  const rounds = roundsOf(idealMs(cell));
  for (let round = 0; round < rounds; round++) {
    const order = contenders.map((_, i) => contenders[(i + round) % contenders.length] as Contender);
    for (const contender of order) {
      // One slow message of the stock setup says as much as many.
      if (contender === 'stock' && round > 0 && stockMs(cell) > 300) continue;
      times[contender].push(await sender.ask({ kind: 'send', contender, bytes: cell.bytes }));
    }
  }
  await sender.ask({ kind: 'close' });
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

const CELLS = RTTS_MS.flatMap((rttMs) =>
  RATES_MBPS.flatMap((rateMbps) => SIZES.map((bytes): Cell => ({ bytes, rttMs, rateMbps }))),
);

export interface WireBench {
  /** Of the result's file. */
  readonly name: string;
  /** Limits the cells to those whose name holds it; no result is written then. */
  readonly part: string | undefined;
  readonly sender: WirePeer;
  /** Where the sender reaches each receiver. */
  readonly addresses: Addresses;
  /** Sets the link between sender and receivers. */
  setLink(cell: Cell): Promise<void>;
}

/** Measures every cell and reports. */
export async function benchWire({ name, part, sender, addresses, setLink }: WireBench): Promise<void> {
  const cells = CELLS.filter(
    ({ bytes, rttMs, rateMbps }) => !part || `rtt${rttMs} rate${rateMbps} bytes${bytes}`.includes(part),
  );
  await setLink({ bytes: 0, rttMs: 0, rateMbps: 0 });
  await warmUp(sender, addresses);
  const rows: Row[] = [];
  for (const [i, cell] of cells.entries()) {
    const what = `${cell.bytes / 1e6} MB, RTT ${cell.rttMs} ms, ${cell.rateMbps || 'unlimited'} Mbit/s`;
    process.stderr.write(`${i + 1}/${cells.length} ${what}\n`);
    if (idealMs(cell) > MAX_CELL_MS) {
      const note = `not run: takes ${(idealMs(cell) / 1000).toFixed(0)} s or more`;
      rows.push({ ...cell, idealMs: idealMs(cell), note });
      continue;
    }
    await setLink(cell);
    rows.push(await measure(sender, addresses, cell));
  }
  if (part) {
    console.table(rows);
    console.table(verdictOf(rows));
  } else await report(name, rows, verdictOf(rows));
}
