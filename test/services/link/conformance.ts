import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TierbedError } from '../../../base/errors.js';
import { Random } from '../../../base/random.js';
import type { DirectionSettings, LinkDriver, LinkSettings, OpenLinks, Route } from '../../../services/link/types.js';
import { assertLinks, verifyLinks } from '../../../services/link/verify/verify.js';
import { deadAddress, dial, echo, ending, listen, readAll, reset } from './peers.js';

const free: DirectionSettings = { rateMbps: 0, delayMs: 0, jitterMs: 0, queueBytes: 65_536 };

function link(name: LinkSettings['name'], settings: Partial<DirectionSettings> = {}): LinkSettings {
  return { name, up: { ...free, ...settings }, down: { ...free, ...settings } };
}

function randomBytes(count: number): Buffer {
  const random = new Random(count);
  return Buffer.from(Uint32Array.from({ length: count / 4 }, () => random.uint32()).buffer);
}

/** What every link driver does, whatever it is made of. Times have lower bounds alone, which no busy machine breaks. */
export function conformance(
  driver: LinkDriver,
  module: URL,
  exportName: string,
  { losesPackets }: { readonly losesPackets: boolean },
): void {
  const open = async (t: TestContext, links: LinkSettings[], routes: Route[]): Promise<OpenLinks> => {
    const opened = await driver.open(links, routes);
    t.after(() => opened.close());
    return opened;
  };
  // What goes wrong here is often that something never comes.
  const check = (what: string, body: (t: TestContext) => Promise<void>) => {
    test(`${driver.name}: ${what}`, { timeout: 60_000 }, body);
  };
  const one = async (t: TestContext, settings: Partial<DirectionSettings>, onConnection: (socket: Socket) => void) => {
    const target = await listen(t, onConnection);
    const links = await open(t, [link('mobile-edge', settings)], [{ name: 'a', via: ['mobile-edge'], target }]);
    return { links, target, address: links.addresses.get('a') as string };
  };

  check('bytes pass both ways unchanged, over one link and over two', async (t) => {
    const target = await listen(t, echo);
    const shaped = { rateMbps: 200, delayMs: 3, jitterMs: 2 };
    const links = await open(
      t,
      [link('mobile-edge', shaped), link('edge-cloud')],
      [
        { name: 'mobile>edge', via: ['mobile-edge'], target },
        { name: 'mobile>cloud', via: ['mobile-edge', 'edge-cloud'], target },
      ],
    );
    assert.deepEqual([...links.addresses.keys()], ['mobile>edge', 'mobile>cloud']);
    for (const address of links.addresses.values()) {
      const sent = randomBytes(1_000_000);
      const socket = dial(t, address);
      const answer = readAll(socket);
      for (let at = 0; at < sent.length; at += 33_333) socket.write(sent.subarray(at, at + 33_333));
      socket.end();
      assert.ok((await answer).equals(sent));
    }
  });

  check('nothing arrives before its delay, nor faster than the rate', async (t) => {
    const { address } = await one(t, { rateMbps: 10, delayMs: 40 }, echo);
    const socket = dial(t, address);
    socket.write('x');
    await once(socket, 'data');
    const startMs = performance.now();
    socket.write('y');
    await once(socket, 'data');
    const tripMs = performance.now() - startMs;
    assert.ok(tripMs > 78, `a round trip over twice 40 ms took ${tripMs} ms`);

    const answer = readAll(socket);
    const bulkMs = performance.now();
    socket.end(Buffer.alloc(250_000));
    await answer;
    const tookMs = performance.now() - bulkMs;
    assert.ok(tookMs > 285, `250 kB at 10 Mbit/s take 209 ms and 80 for the way; it took ${tookMs} ms`);
  });

  check('directions have their own settings', async (t) => {
    const target = await listen(t, echo);
    const settings = { ...link('mobile-edge'), down: { ...free, delayMs: 60 } };
    const links = await open(t, [settings], [{ name: 'a', via: ['mobile-edge'], target }]);
    const socket = dial(t, links.addresses.get('a') as string);
    socket.write('x');
    await once(socket, 'data');
    const startMs = performance.now();
    socket.write('y');
    await once(socket, 'data');
    assert.ok(performance.now() - startMs > 58);
  });

  check('routes over one link share its rate, and each gets its part', async (t) => {
    const sizes = [200_000, 200_000];
    const target = await listen(t, (socket) => void readAll(socket).then(() => socket.end('done')));
    const links = await open(t, [link('mobile-edge', { rateMbps: 10 }), link('edge-cloud')], []);
    const addresses = [
      await links.addRoute({ name: 'a', via: ['mobile-edge'], target }),
      await links.addRoute({ name: 'b', via: ['mobile-edge', 'edge-cloud'], target }),
    ];
    const startMs = performance.now();
    const ends = await Promise.all(
      addresses.map(async (address, i) => {
        const socket = dial(t, address);
        const answer = readAll(socket);
        socket.end(Buffer.alloc(sizes[i] as number));
        await answer;
        return performance.now() - startMs;
      }),
    );
    const [first, last] = ends.toSorted((a, b) => a - b) as [number, number];
    assert.ok(last > 325, `400 kB at 10 Mbit/s take 335 ms; it took ${last}`);
    // One after the other, the first would be done at half of the time.
    assert.ok(first > 0.65 * last, `one was done after ${first} ms, the other after ${last}`);
  });

  check('a side that has ended still receives', async (t) => {
    const { address } = await one(t, { delayMs: 5 }, (socket) => {
      void readAll(socket).then((got) => setTimeout(() => socket.end(`got ${got.length}`), 20));
    });
    const socket = dial(t, address);
    const answer = readAll(socket);
    socket.end(Buffer.alloc(100_000));
    assert.equal((await answer).toString(), 'got 100000');
  });

  check('a side whose peer has ended still sends', async (t) => {
    const received: Promise<Buffer>[] = [];
    const { address } = await one(t, { delayMs: 5 }, (socket) => {
      socket.end('first');
      received.push(readAll(socket));
    });
    const socket = dial(t, address);
    assert.equal((await readAll(socket)).toString(), 'first');
    socket.end(Buffer.alloc(100_000));
    assert.equal((await received[0])?.length, 100_000);
  });

  check('a reset passes as one, either way', async (t) => {
    const endings: Promise<string>[] = [];
    let got = 0;
    const { address } = await one(t, { delayMs: 20 }, (socket) => {
      socket.on('data', (data) => {
        got += data.length;
        if (data.includes('bye')) reset(socket);
      });
      endings.push(ending(socket));
    });
    const client = dial(t, address);
    await once(client, 'connect');
    client.write('hello');
    while (got < 5) await new Promise((resolve) => setTimeout(resolve, 5));
    reset(client);
    assert.equal(await endings[0], 'ECONNRESET');
    assert.equal(got, 5);

    const other = dial(t, address);
    other.write('bye');
    assert.equal(await ending(other), 'ECONNRESET');
  });

  check('a target that is down resets its caller', async (t) => {
    const target = await deadAddress();
    const links = await open(t, [link('mobile-edge')], [{ name: 'a', via: ['mobile-edge'], target }]);
    const socket = dial(t, links.addresses.get('a') as string);
    socket.write('x');
    assert.equal(await ending(socket), 'ECONNRESET');
  });

  check('a receiver that does not read holds its sender, not the others, and loses nothing', async (t) => {
    const sockets: Socket[] = [];
    const { address } = await one(t, {}, (socket) => {
      if (sockets.push(socket) === 1) socket.pause();
      else echo(socket);
    });
    const slow = dial(t, address);
    const total = 192 * 1024 * 1024;
    const piece = Buffer.alloc(1024 * 1024);
    let taken = 0;
    const send = () => {
      slow.write(piece, () => {
        taken += piece.length;
        if (taken < total) send();
        else slow.end();
      });
    };
    send();
    let before = -1;
    // It stands still when nothing more was taken for a while.
    for (let still = 0; still < 10; still = taken === before && taken > 0 ? still + 1 : 0) {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(taken < total / 2, `${taken} bytes were taken though nobody reads`);

    const other = dial(t, address);
    other.write('x');
    await once(other, 'data');

    let received = 0;
    const receiver = sockets[0] as Socket;
    receiver.on('data', (data) => {
      received += data.length;
    });
    receiver.resume();
    await once(receiver, 'end');
    assert.equal(received, total);
  });

  check('new settings hold at once', async (t) => {
    const { address, links } = await one(t, { rateMbps: 0.01, queueBytes: 1514 }, echo);
    await links.set(link('mobile-edge'));
    const socket = dial(t, address);
    const answer = readAll(socket);
    socket.end(Buffer.alloc(1_000_000));
    assert.equal((await answer).length, 1_000_000);

    await links.set(link('mobile-edge', { delayMs: 50 }));
    const later = dial(t, address);
    const startMs = performance.now();
    later.write('x');
    await once(later, 'data');
    assert.ok(performance.now() - startMs > 98);
  });

  check('jitter of every shape keeps bytes and their order', async (t) => {
    for (const jitterDistribution of ['uniform', 'pareto', 'paretonormal'] as const) {
      const { address } = await one(t, { rateMbps: 100, delayMs: 4, jitterMs: 2, jitterDistribution }, echo);
      const sent = randomBytes(100_000);
      const socket = dial(t, address);
      const answer = readAll(socket);
      for (let at = 0; at < sent.length; at += 7000) socket.write(sent.subarray(at, at + 7000));
      socket.end();
      assert.ok((await answer).equals(sent), jitterDistribution);
    }
  });

  check('blocked, nothing passes, and nothing is lost when it does again', async (t) => {
    const { address, links } = await one(t, {}, echo);
    const socket = dial(t, address);
    const received: Buffer[] = [];
    const got = () => Buffer.concat(received).toString();
    socket.on('data', (data) => received.push(data));
    socket.write('a');
    await once(socket, 'data');
    await links.set({ ...link('mobile-edge'), blocked: true });
    socket.write('b');
    const late = dial(t, address);
    late.write('c');
    const lateAnswer = once(late, 'data');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(got(), 'a');
    const startMs = performance.now();
    await links.set(link('mobile-edge', { delayMs: 40 }));
    while (got() !== 'ab') await once(socket, 'data');
    await lateAnswer;
    assert.ok(performance.now() - startMs > 78, 'what waited takes its way from then on');
  });

  check('a link that is blocked from the beginning lets nothing in', async (t) => {
    const target = await listen(t, echo);
    const links = await open(
      t,
      [{ ...link('mobile-edge'), blocked: true }],
      [{ name: 'a', via: ['mobile-edge'], target }],
    );
    const socket = dial(t, links.addresses.get('a') as string);
    let got = 0;
    socket.on('data', (data) => {
      got += data.length;
    });
    socket.write('x');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(got, 0);
    await links.set(link('mobile-edge'));
    while (got === 0) await once(socket, 'data');
  });

  check('payload is counted on each link that it crosses', async (t) => {
    const target = await listen(t, (socket) => void readAll(socket).then(() => socket.end(Buffer.alloc(700))));
    const links = await open(t, [link('mobile-edge'), link('edge-cloud')], []);
    for (const [name, via, bytes] of [
      ['a', ['mobile-edge'], 1000],
      ['b', ['mobile-edge', 'edge-cloud'], 50_000],
    ] as const) {
      const socket = dial(t, await links.addRoute({ name, via, target }));
      const answer = readAll(socket);
      socket.end(Buffer.alloc(bytes));
      await answer;
    }
    assert.deepEqual(
      await links.stats(),
      new Map([
        ['mobile-edge', { upBytes: 51_000, downBytes: 1400 }],
        ['edge-cloud', { upBytes: 50_000, downBytes: 700 }],
      ]),
    );
  });

  check('a route that was removed breaks its connections and listens no more', async (t) => {
    const { links, address, target } = await one(t, {}, echo);
    const socket = dial(t, address);
    socket.write('x');
    await once(socket, 'data');
    const broken = ending(socket);
    await links.removeRoute('a');
    await broken;
    assert.equal(links.addresses.has('a'), false);
    assert.equal(await ending(dial(t, address)), 'ECONNREFUSED');
    await assert.rejects(links.removeRoute('a'), /'a'/);

    const again = dial(t, await links.addRoute({ name: 'a', via: ['mobile-edge'], target }));
    again.write('y');
    await once(again, 'data');
  });

  check('wrong settings and routes are refused by name, and nothing stays open', async (t) => {
    const refused = async (links: LinkSettings[], routes: Route[], words: RegExp) => {
      await assert.rejects(driver.open(links, routes), (error) => {
        assert.ok(error instanceof TierbedError);
        assert.equal(error.kind, 'invalid');
        assert.match(error.message, words);
        return true;
      });
    };
    const target = '127.0.0.1:9';
    await refused([link('mobile-edge', { delayMs: -1 })], [], /mobile-edge\.up\.delayMs/);
    await refused([link('mobile-edge', { lossPct: 120 })], [], /mobile-edge\.up\.lossPct/);
    await refused([link('mobile-edge', { trace: { kind: 'steps', steps: [], lengthMs: 1 } })], [], /up\.trace/);
    if (!losesPackets) {
      const lossy = { kind: 'steps', steps: [{ atMs: 0, lossPct: 1 }], lengthMs: 10 } as const;
      await refused([link('mobile-edge', { lossPct: 0.1 })], [], /mobile-edge\.up\.lossPct.*cannot lose/);
      await refused([link('mobile-edge', { trace: lossy })], [], /mobile-edge\.up\.trace.*cannot lose/);
    }
    await refused([link('mobile-edge'), link('mobile-edge')], [], /twice/);
    await refused([link('mobile-edge')], [{ name: 'a', via: ['edge-cloud'], target }], /'a'.*'edge-cloud'/);
    await refused([link('mobile-edge')], [{ name: 'a', via: [], target }], /'a'/);
    await refused([link('mobile-edge')], [{ name: 'a', via: ['mobile-edge'], target: 'nowhere' }], /'nowhere'/);

    const links = await open(t, [link('mobile-edge')], [{ name: 'a', via: ['mobile-edge'], target }]);
    await assert.rejects(links.addRoute({ name: 'a', via: ['mobile-edge'], target }), /already/);
    await assert.rejects(links.set(link('mobile-edge', { rateMbps: Number.NaN })), /rateMbps/);
    await assert.rejects(links.set(link('edge-cloud')), /edge-cloud/);
  });

  check('closed in the middle of a transfer, twice, it answers no more', async (t) => {
    const { links, address } = await one(t, { rateMbps: 10, delayMs: 30 }, echo);
    const socket = dial(t, address);
    socket.write(Buffer.alloc(5_000_000));
    await once(socket, 'data');
    const broken = ending(socket);
    await Promise.all([links.close(), links.close()]);
    await broken;
    assert.equal(await ending(dial(t, address)), 'ECONNREFUSED');
    await assert.rejects(links.stats(), (error) => error instanceof TierbedError && error.kind === 'unavailable');
  });

  check('neither open links nor closed ones keep a process alive', async () => {
    const script = fileURLToPath(new URL('./leave-open.js', import.meta.url));
    for (const how of ['open', 'closed', 'exit']) {
      // Killed, and so rejected, when it does not end by itself.
      await promisify(execFile)(process.execPath, [script, module.href, exportName, how], { timeout: 20_000 });
    }
  });

  check('it measures as what it was set to', async (t) => {
    const settings = [
      link('mobile-edge', { rateMbps: 50, delayMs: 60 }),
      link('edge-cloud', { delayMs: 100, jitterMs: 2 }),
    ];
    const links = await open(t, settings, []);
    // Far enough apart that a busy machine does not decide, and nothing else passes for them.
    const wide = { toleranceMs: 20, tolerancePct: 10, attempts: 10, bulkMs: 200 };
    assertLinks(await verifyLinks(links, settings, wide));
  });
}
