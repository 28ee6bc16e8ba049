import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { silent } from '../../base/progress.js';
import { CATALOGUE, type CatalogueEntry, type CatalogueFile } from '../../workloads/fetch/catalogue.js';
import { type FetchOptions, fetchEntry } from '../../workloads/fetch/index.js';
import { type FetchServer, fetchServer } from './fetch-server.js';

const content = randomBytes(300_000);
const sha256 = createHash('sha256').update(content).digest('hex');

let server: FetchServer;
let out: string;

const entry = (path: string, over: Partial<CatalogueFile> = {}): CatalogueEntry => ({
  name: 'thing',
  kind: 'data',
  about: '',
  licence: 'MIT',
  files: [{ name: 'thing.bin', url: `${server.url}${path}`, bytes: content.byteLength, sha256, ...over }],
});

const get = (path: string, over: Partial<CatalogueFile> = {}, options: Partial<FetchOptions> = {}) =>
  fetchEntry(entry(path, over), { out, progress: silent, stallMs: 20_000, ...options });

const folder = (): string => join(out, 'thing');
const kept = async (): Promise<string[]> => (await readdir(folder())).sort();

function is(kind: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TierbedError, String(error));
    assert.equal(error.kind, kind);
    assert.match(`${error.message} ${error.fix}`, text);
    return true;
  };
}

describe('fetching', () => {
  before(async () => {
    server = await fetchServer(content);
  });
  after(() => server.close());
  beforeEach(async (t) => {
    out = await mkdtemp(join(tmpdir(), 'tierbed-fetch-'));
    const made = out;
    (t as { after(fn: () => Promise<void>): void }).after(() => rm(made, { recursive: true, force: true }));
  });

  it('downloads a file, checks it, and does not ask for it again', async () => {
    const [file] = await get('/whole');
    assert.equal(file?.status, 'downloaded');
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
    assert.deepEqual(await kept(), ['thing.bin']);
    const asked = server.requests.length;
    assert.equal((await get('/whole'))[0]?.status, 'present');
    assert.equal(server.requests.length, asked);
  });

  it('replaces a file that is another', async () => {
    await mkdir(folder());
    await writeFile(join(folder(), 'thing.bin'), 'something else');
    assert.equal((await get('/whole'))[0]?.status, 'downloaded');
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
  });

  it('takes the first digits of a checksum where no more are published', async () => {
    assert.equal((await get('/whole', { sha256: sha256.slice(0, 8) }))[0]?.sha256, sha256);
    await rm(folder(), { recursive: true });
    const other = `${sha256[0] === '0' ? '1' : '0'}${sha256.slice(1, 8)}`;
    await assert.rejects(get('/whole', { sha256: other }), is('invalid', /sha256/));
  });

  it('keeps nothing of a file with a wrong checksum', async () => {
    await assert.rejects(get('/whole', { sha256: '0'.repeat(64) }), is('invalid', /not the file that is wanted/));
    assert.deepEqual(await kept(), []);
  });

  it('keeps nothing of a file that is too long', async () => {
    await assert.rejects(get('/long'), is('invalid', /300000 are wanted/));
    assert.deepEqual(await kept(), []);
  });

  it('keeps the part of a download that was cut short, and goes on from there', async () => {
    await assert.rejects(get('/cut'), is('unavailable', /again/));
    assert.deepEqual(await kept(), ['thing.bin.part']);
    const part = await readFile(join(folder(), 'thing.bin.part'));
    assert.ok(part.byteLength > 0 && part.byteLength <= 100_000, `${part.byteLength} bytes`);
    await get('/resumable');
    assert.equal(server.requests.at(-1)?.range, `bytes=${part.byteLength}-`);
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
    assert.deepEqual(await kept(), ['thing.bin']);
  });

  it('starts anew where the server gives whole files alone, or the part was of another file', async () => {
    await mkdir(folder());
    await writeFile(join(folder(), 'thing.bin.part'), randomBytes(1000));
    await get('/whole');
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
    await rm(join(folder(), 'thing.bin'));
    await writeFile(join(folder(), 'thing.bin.part'), randomBytes(1000));
    await get('/resumable');
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
  });

  it('takes no other part than it asked for', async () => {
    await mkdir(folder());
    await writeFile(join(folder(), 'thing.bin.part'), content.subarray(0, 1000));
    await assert.rejects(get('/elsewhere'), is('unavailable', /bytes 5-.*not from 1000/));
    await get('/resumable');
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
  });

  it('gives up a server that goes silent', async () => {
    await assert.rejects(get('/stalls', {}, { stallMs: 200 }), is('unavailable', /nothing came.*--mirror/s));
    assert.deepEqual(await kept(), ['thing.bin.part']);
  });

  it('stops when told to', async () => {
    const stop = new AbortController();
    const progress = { ...silent, update: () => stop.abort() };
    await assert.rejects(get('/stalls', {}, { signal: stop.signal, progress }), is('cancelled', /cancelled/));
  });

  it('tells what is wrong with the address or the network, and names the mirror', async () => {
    await assert.rejects(get('/absent'), is('missing', /404.*--mirror/s));
    await assert.rejects(get('/broken'), is('unavailable', /500.*--mirror/s));
    const unreachable = { url: 'http://127.0.0.1:1/none' };
    await assert.rejects(get('', unreachable), is('unavailable', /cannot be fetched.*--mirror/s));
  });

  it('follows redirects, but not for ever and never away from https', async () => {
    assert.equal((await get('/moved'))[0]?.status, 'downloaded');
    await rm(folder(), { recursive: true });
    await assert.rejects(get('/circle'), is('refused', /more than 5 times/));
    await assert.rejects(get('/plain-http'), is('refused', /not https/));
    await assert.rejects(get('', { url: 'http://example.invalid/x' }), is('refused', /not https/));
  });

  it('copies from a mirror with the same checks, without a word to the network', async () => {
    const mirror = join(out, 'mirror');
    await mkdir(join(mirror, 'thing'), { recursive: true });
    await writeFile(join(mirror, 'thing', 'thing.bin'), content);
    const asked = server.requests.length;
    assert.equal((await get('/whole', {}, { mirror }))[0]?.status, 'mirrored');
    assert.deepEqual(await readFile(join(folder(), 'thing.bin')), content);
    assert.deepEqual(await kept(), ['thing.bin']);

    await rm(folder(), { recursive: true });
    await writeFile(join(mirror, 'thing', 'thing.bin'), content.subarray(1));
    await assert.rejects(get('/whole', {}, { mirror }), is('invalid', /not the file that is wanted/));
    assert.deepEqual(await kept(), []);
    await rm(join(mirror, 'thing'), { recursive: true });
    await assert.rejects(get('/whole', {}, { mirror }), is('missing', /has no thing\.bin/));
    assert.equal(server.requests.length, asked);
  });

  it('says so when the folder cannot be made', async () => {
    await writeFile(folder(), 'a file where the folder should be');
    await assert.rejects(get('/whole'), is('refused', /--out/));
  });
});

describe('the catalogue', () => {
  it('pins every file: https, a checksum, a licence, names that are file names', () => {
    const names = CATALOGUE.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, licence, files } of CATALOGUE) {
      assert.match(name, /^[a-z0-9][a-z0-9_.-]*$/);
      assert.ok(licence.length > 0, name);
      for (const file of files) {
        assert.match(file.url, /^https:\/\//, name);
        assert.match(file.sha256, /^([0-9a-f]{64}|[0-9a-f]{8})$/, name);
        assert.match(file.name, /^[A-Za-z0-9][A-Za-z0-9_.-]*$/, name);
        assert.ok(
          file.sha256.length === 64 || file.name.includes(`-${file.sha256}.`),
          `${name}: digits not in its name`,
        );
      }
    }
  });
});
