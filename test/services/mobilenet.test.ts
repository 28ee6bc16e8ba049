import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { parse } from 'yaml';
import { readSamples } from '../../analysis/samples-csv.js';
import { packageRoot } from '../../base/paths.js';
import { float32Tensor, float32Values } from '../../onnx/tensor.js';
import { loadWorkload, type ModelWorkloadSpec } from '../../workloads/index.js';
import { postprocess } from '../../workloads/postprocess/index.js';
import { createPreprocessor } from '../../workloads/preprocess/index.js';
import { needsSharedData } from '../support/shared-data.js';

/**
 * Where MobileNetV2 is wrong about the thousand pictures, and what it says instead: 891 of 1000 are right. From Pillow
 * 13.0.0 (convert, resize BILINEAR, crop) and onnxruntime 1.32.0 in Python.
 */
// biome-ignore format: a table
const WRONG: Readonly<Record<number, number>> = {
  4: 842, 6: 5, 8: 7, 21: 989, 23: 442, 29: 26, 33: 119, 55: 64, 56: 58, 58: 97, 60: 53, 65: 390, 66: 52, 73: 80,
  83: 81, 107: 782, 109: 390, 118: 120, 174: 248, 175: 185, 180: 179, 193: 187, 204: 154, 215: 218, 230: 229,
  240: 239, 250: 244, 267: 188, 272: 269, 278: 277, 281: 285, 290: 286, 291: 372, 311: 312, 356: 357, 358: 356,
  366: 367, 384: 364, 390: 395, 413: 764, 424: 893, 427: 756, 446: 861, 456: 350, 457: 516, 459: 638, 473: 758,
  476: 575, 482: 848, 499: 467, 501: 689, 505: 441, 509: 982, 519: 553, 521: 827, 531: 487, 534: 582, 540: 536,
  563: 777, 581: 627, 587: 880, 594: 710, 614: 667, 620: 424, 621: 856, 631: 746, 641: 929, 644: 971, 646: 395,
  650: 686, 658: 824, 659: 948, 662: 681, 673: 527, 677: 604, 679: 710, 680: 731, 696: 850, 702: 890, 710: 528,
  717: 656, 736: 818, 740: 592, 742: 620, 751: 817, 754: 652, 774: 868, 782: 851, 808: 515, 813: 809, 839: 843,
  840: 635, 844: 695, 851: 598, 871: 484, 885: 689, 887: 617, 899: 550, 904: 645, 909: 521, 911: 496, 915: 831,
  931: 963, 943: 489, 951: 950, 970: 979, 975: 977, 987: 998, 998: 987,
};

const reference = (label: string): string => String(WRONG[Number(label)] ?? label);

const studyPath = join(packageRoot, 'studies/mobilenet-imagenet.yaml');
const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

/**
 * Runs a study and gives its results folder. A busy machine may be refused for its links (exit code 5), which is right,
 * and no matter of this test: then once more.
 */
async function runStudy(t: TestContext, study: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const out = `${study}.${attempt}`;
    const child = spawn(process.execPath, [main, 'run', study, '--out', out, '--quiet']);
    t.after(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (chunk) => (errors += chunk));
    child.stdout.resume();
    const [code] = await once(child, 'close');
    if (code === 5 && attempt < 3) continue;
    assert.equal(code, 0, errors);
    return out;
  }
}

describe('MobileNetV2 on real pictures', () => {
  it("decodes, resizes and answers as the models' own framework does", async (t) => {
    if (!needsSharedData(t)) return;
    const study = parse(await readFile(studyPath, 'utf8')) as { workloads: { mobilenet: ModelWorkloadSpec } };
    const workload = await loadWorkload(study.workloads.mobilenet, { baseDir: join(packageRoot, 'studies') });
    assert.equal(workload.items.length, 1000);
    const session = await InferenceSession.create(workload.modelPath, { intraOpNumThreads: 1 });
    t.after(() => session.release());
    const preprocess = createPreprocessor(workload.preprocess);
    const different: string[] = [];
    for (const item of workload.items.filter((_, i) => i % 10 === 3)) {
      const [input] = await preprocess(await item.read());
      assert.ok(input);
      const feeds = { [input.name]: new Tensor('float32', float32Values(input.tensor), [...input.tensor.shape]) };
      const scores = (await session.run(feeds)).logits?.data as Float32Array;
      const outputs = [{ name: 'logits', tensor: float32Tensor([1, 1000], scores) }];
      const prediction = postprocess(workload.postprocess, outputs);
      if (prediction !== reference(item.label)) different.push(`${item.id}: ${prediction}`);
    }
    assert.deepEqual(different, []);
  });

  it('gives the same answers on every placement', async (t) => {
    if (!needsSharedData(t)) return;
    const dir = await mkdtemp(join(tmpdir(), 'tierbed-mobilenet-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const study = (await readFile(studyPath, 'utf8')).replace(/^items: all$/m, 'items: 8');
    await writeFile(join(dir, 'study.yaml'), study);
    const out = await runStudy(t, join(dir, 'study.yaml'));
    const placements = new Map<string, number>();
    for await (const row of readSamples(join(out, 'samples.csv'))) {
      const placement = String(row.placement);
      assert.equal(row.status, 'ok');
      assert.equal(row.prediction, reference(String(row.label)), placement);
      placements.set(placement, (placements.get(placement) ?? 0) + 1);
    }
    assert.deepEqual([...placements.values()], [8, 8, 8, 8, 8, 8, 8]);
  });
});
