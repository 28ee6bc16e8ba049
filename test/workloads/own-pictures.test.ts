import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import sharp from 'sharp';
import { PICTURE_CLASSES } from '../../workloads/own/pictures/classes.js';
import { pictureItems } from '../../workloads/own/pictures/items.js';
import { encodedPicture } from '../../workloads/own/pictures/jpeg.js';
import { renderPicture } from '../../workloads/own/pictures/render.js';
import type { WorkloadItem } from '../../workloads/types.js';

async function cache(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tierbed-pictures-'));
  const before = process.env.TIERBED_CACHE;
  process.env.TIERBED_CACHE = folder;
  t.after(async () => {
    if (before === undefined) delete process.env.TIERBED_CACHE;
    else process.env.TIERBED_CACHE = before;
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

describe('the items of pictures', () => {
  it('are drawn when they are read, kept, and drawn again where one is damaged or gone', async (t) => {
    const folder = await cache(t);
    const items = pictureItems(5, 'training', 4);
    assert.deepEqual(await readdir(folder), [], 'drawn before anybody asked');
    const [first, second] = items as [WorkloadItem, WorkloadItem];
    const bytes = await first.read();
    assert.deepEqual(Buffer.from(bytes), Buffer.from(await encodedPicture(5, 'training', 0)));
    assert.equal((await sharp(bytes).metadata()).format, 'jpeg');
    assert.notDeepEqual(Buffer.from(await second.read()), Buffer.from(bytes));

    const kept = join(folder, (await readdir(folder))[0] as string, 'training');
    const names = (await readdir(kept)).sort();
    assert.equal(names.length, 2);
    await writeFile(join(kept, names[0] as string), await second.read());
    for (const list of [items, pictureItems(5, 'training', 4)]) {
      assert.deepEqual(Buffer.from(await (list[0] as WorkloadItem).read()), Buffer.from(bytes));
    }
    await rm(join(kept, names[0] as string));
    assert.deepEqual(Buffer.from(await first.read()), Buffer.from(bytes));
  });

  it('are read where the cache cannot be written, too', async (t) => {
    const folder = await cache(t);
    process.env.TIERBED_CACHE = join(folder, 'a-file');
    await writeFile(join(folder, 'a-file'), '');
    const [item] = pictureItems(5, 'tuning', 1) as [WorkloadItem];
    assert.ok((await item.read()).byteLength > 10_000);
  });

  it('show all kinds in turn, and are named after their part', () => {
    const items = pictureItems(1, 'evaluation', 24);
    assert.deepEqual(new Set(items.map(({ label }) => label)).size, PICTURE_CLASSES.length);
    assert.equal(items[13]?.label, PICTURE_CLASSES[1]?.name);
    assert.equal(items[13]?.id, 'evaluation/00013.jpg');
  });
});

describe('a picture', () => {
  it('depends on seed, part and index alone', () => {
    const first = renderPicture(3, 'training', 12);
    renderPicture(4, 'tuning', 1);
    assert.deepEqual(renderPicture(3, 'training', 12), first);
    for (const other of [
      renderPicture(4, 'training', 12),
      renderPicture(3, 'tuning', 12),
      renderPicture(3, 'training', 24),
    ]) {
      assert.notDeepEqual(other, first);
    }
  });

  it('has the weight of a picture from a camera', async () => {
    for (let index = 0; index < PICTURE_CLASSES.length; index++) {
      const raw = { width: 320, height: 240, channels: 3 } as const;
      const jpeg = await sharp(renderPicture(1, 'evaluation', index), { raw })
        .jpeg({ quality: 95 })
        .toBuffer();
      assert.ok(jpeg.byteLength > 15_000 && jpeg.byteLength < 90_000, `${jpeg.byteLength} bytes`);
    }
  });

  it('shows an outline that lies within its radius', () => {
    for (const { name, outline } of PICTURE_CLASSES) {
      let inside = 0;
      for (let y = -1.5; y <= 1.5; y += 0.05) {
        for (let x = -1.5; x <= 1.5; x += 0.05) {
          if (outline(x, y) <= 0) continue;
          inside++;
          assert.ok(x * x + y * y <= 1.1, `${name} at ${x}, ${y}`);
        }
      }
      assert.ok(inside > 200, `${name}: ${inside} points`);
    }
  });
});
