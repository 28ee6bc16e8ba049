import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dotProductsOf, thisCpu } from '../../../operators/explain/cpu.js';

test('instructions for int8 products are read from /proc/cpuinfo', () => {
  const x64 = 'processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512_vnni avx_vnni\nbugs\t\t:\n';
  assert.deepEqual(dotProductsOf(x64, 'x64'), ['avx512_vnni', 'avx_vnni']);
  assert.deepEqual(dotProductsOf('flags\t\t: fpu avx2 avx512f\n', 'x64'), []);
  assert.deepEqual(dotProductsOf('Features\t: fp asimd asimddp i8mm\n', 'arm64'), ['i8mm', 'dotprod']);
  assert.deepEqual(dotProductsOf('Features\t: fp asimd\n', 'arm64'), []);
});

test('what is not known is not called absent', async () => {
  assert.equal(dotProductsOf('', 'x64'), undefined);
  assert.equal(dotProductsOf('flags : a\n', 'riscv64'), undefined);
  const { arch, dotProducts } = await thisCpu();
  assert.equal(arch, process.arch);
  if (process.platform !== 'linux') assert.equal(dotProducts, undefined);
});
