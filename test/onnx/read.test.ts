import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { float, floats } from '../../onnx/build/attributes.js';
import { GraphBuilder } from '../../onnx/build.js';
import { encodeModel } from '../../onnx/encode.js';
import { initializerBytes, initializerTensor } from '../../onnx/initializer.js';
import type { Initializer, Model } from '../../onnx/model.js';
import { decodeModel, readModel } from '../../onnx/read.js';
import { decodeWire, encodeWire, type WireModel, type WireTensor } from '../../onnx/schema.js';
import { denseTensor, float32Tensor, float32Values } from '../../onnx/tensor.js';
import { writeModel } from '../../onnx/write.js';
import { runModel, SHARED_DIMS, sameBytes, seededInputs } from '../support/run-model.js';
import { needsSharedData, sharedModels } from '../support/shared-data.js';

test('every shared model computes the same bytes after it was read and written', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  for (const { name, path } of sharedModels(dir)) {
    const model = await readModel(path);
    const feeds = seededInputs(model, SHARED_DIMS);
    assert.ok(sameBytes(await runModel(path, feeds), await runModel(encodeModel(model), feeds)), name);
  }
});

test('a model that was written reads as the same data', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  for (const { name, path } of sharedModels(dir)) {
    const model = await readModel(path);
    assert.deepEqual(plain(decodeModel(encodeModel(model))), plain(model), name);
  }
});

/** Data for comparing: byte arrays as text, as a view and a copy are the same; unknown fields, which messages hide, shown. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const shown = Object.entries(value).map(([key, item]) => [key, plain(item)]);
  if ('$unknowns' in value) shown.push(['$unknowns', plain(value.$unknowns)]);
  return Object.fromEntries(shown);
}

const OPSET = [{ domain: '', version: 17 }];

function withWeights(...initializer: WireTensor[]): Uint8Array {
  return encodeWire({
    irVersion: 8,
    opsetImport: OPSET,
    graph: { initializer, output: initializer.map(({ name = '' }) => ({ name })) },
  });
}

function only(bytes: Uint8Array): Initializer {
  return decodeModel(bytes).graph.initializers[0] as Initializer;
}

test('weights are views of the bytes of the file', () => {
  const g = new GraphBuilder({ name: 'g' });
  const w = g.initializer('w', float32Tensor([1000], new Float32Array(1000).fill(3)));
  g.output(g.node('Relu', [w], {}, 'y'), 'float32', [1000]);
  const file = new Uint8Array(encodeModel(g.build()));
  const bytes = initializerBytes(only(file));
  assert.equal(bytes.buffer, file.buffer);
  assert.deepEqual(float32Values(initializerTensor(only(file))), new Float32Array(1000).fill(3));
});

test('elements in typed fields become raw little-endian bytes', () => {
  const cases: { tensor: WireTensor; hex: string }[] = [
    { tensor: { dataType: 1, floatData: [1, -2] }, hex: '0000803f000000c0' },
    { tensor: { dataType: 11, doubleData: [1, -2] }, hex: '000000000000f03f00000000000000c0' },
    { tensor: { dataType: 6, int32Data: [1, -2] }, hex: '01000000feffffff' },
    { tensor: { dataType: 3, int32Data: [1, -2] }, hex: '01fe' },
    { tensor: { dataType: 2, int32Data: [1, 254] }, hex: '01fe' },
    { tensor: { dataType: 5, int32Data: [1, -2] }, hex: '0100feff' },
    { tensor: { dataType: 4, int32Data: [1, 65534] }, hex: '0100feff' },
    { tensor: { dataType: 9, int32Data: [1, 0] }, hex: '0100' },
    { tensor: { dataType: 10, int32Data: [0x3c00, 0xc000] }, hex: '003c00c0' },
    { tensor: { dataType: 16, int32Data: [0x3f80, 0xc000] }, hex: '803f00c0' },
    { tensor: { dataType: 17, int32Data: [0x38, 0xc0] }, hex: '38c0' },
    { tensor: { dataType: 7, int64Data: [1, { low: -2, high: -1 }] }, hex: '0100000000000000feffffffffffffff' },
    { tensor: { dataType: 12, uint64Data: [1, 0xffff_fffe] }, hex: '01000000feffffff' },
    { tensor: { dataType: 13, uint64Data: [1, { low: -2, high: -1 }] }, hex: '0100000000000000feffffffffffffff' },
    // Two complex numbers are four floats; four 4-bit numbers are two bytes.
    { tensor: { dataType: 14, floatData: [1, 0, 0, 1] }, hex: '0000803f00000000000000000000803f' },
    { tensor: { dataType: 22, dims: [4], int32Data: [0x21, 0x43] }, hex: '2143' },
  ];
  for (const { tensor, hex } of cases) {
    const weight = only(withWeights({ name: 'w', dims: [2], ...tensor }));
    assert.equal(Buffer.from(initializerBytes(weight)).toString('hex'), hex, `type ${tensor.dataType}`);
  }
});

test('strings, scalars and empty tensors are read', () => {
  const text = only(
    withWeights({ name: 's', dims: [2], dataType: 8, stringData: [Buffer.from('a'), Buffer.from('')] }),
  );
  assert.deepEqual(initializerTensor(text), { dtype: 'string', shape: [2], data: [Buffer.from('a'), Buffer.from('')] });
  assert.equal(initializerBytes(only(withWeights({ name: 's', dataType: 1, floatData: [1] }))).byteLength, 4);
  assert.equal(initializerBytes(only(withWeights({ name: 's', dims: [0, 3], dataType: 1 }))).byteLength, 0);
});

test('attributes of every kind survive', () => {
  const inner = new GraphBuilder({ name: 'inner' });
  inner.output(inner.float32(1), 'float32', []);
  const g = new GraphBuilder({ name: 'g' });
  g.useDomain('test', 1);
  const attributes = {
    zero: 0,
    long: 2n ** 62n + 1n,
    negative: -3,
    real: float(0.5),
    none: floats([]),
    text: 'grüße',
    list: [1, -2],
    reals: [0.25, 2.5],
    texts: ['a', 'b'],
    tensor: denseTensor('int8', [2], Uint8Array.of(1, 2)),
    graph: inner.buildGraph(),
  };
  g.output(g.node('Any', [], attributes, { domain: 'test', name: 'y' }), 'float32', []);
  const model = g.build();
  const node = model.graph.nodes[0];
  assert.ok(node);
  const types: Model = {
    ...model,
    graph: {
      ...model.graph,
      nodes: [
        {
          ...node,
          attributes: [
            ...node.attributes,
            {
              name: 'type',
              docString: '',
              refAttrName: '',
              value: {
                type: 'typeProto',
                tp: { kind: 'sequence', elem: { kind: 'tensor', elemType: 1, shape: ['N', 3] } },
              },
            },
          ],
        },
      ],
    },
  };
  assert.deepEqual(plain(decodeModel(encodeModel(types))), plain(types));
});

test('an attribute without a type is what its field says', () => {
  const bytes = encodeWire({
    irVersion: 3,
    opsetImport: OPSET,
    graph: {
      node: [{ opType: 'Flatten', input: ['x'], output: ['y'], attribute: [{ name: 'axis', i: 2 }] }],
      input: [{ name: 'x' }],
      output: [{ name: 'y' }],
    },
  });
  assert.deepEqual(decodeModel(bytes).graph.nodes[0]?.attributes[0]?.value, { type: 'int', i: 2n });
});

/** A field with number 1000 and the varint 7, which no version of ONNX has. */
const UNKNOWN = [Uint8Array.of(0xc0, 0x3e, 7)];

test('what the schema does not know survives at every level, and so does what it passes through', () => {
  const entry = { key: 'k', value: 'v', $unknowns: UNKNOWN };
  const type = {
    tensorType: {
      elemType: 1,
      shape: {
        dim: [{ dimParam: 'N', denotation: 'DATA_BATCH', $unknowns: UNKNOWN }, { dimValue: 3 }, {}],
        $unknowns: UNKNOWN,
      },
      $unknowns: UNKNOWN,
    },
    denotation: 'TENSOR',
    $unknowns: UNKNOWN,
  };
  const tensor = {
    name: 'w',
    dims: [1],
    dataType: 1,
    rawData: new Uint8Array(4),
    metadataProps: [entry],
    $unknowns: UNKNOWN,
  };
  const sparse = {
    values: { ...tensor, name: 's' },
    indices: { dims: [1], dataType: 7, rawData: new Uint8Array(8) },
    dims: [5],
    $unknowns: UNKNOWN,
  };
  const node = {
    input: ['x'],
    output: ['y'],
    opType: 'Twice',
    domain: 'own',
    overload: 'fast',
    attribute: [{ name: 'a', type: 2, i: 1, $unknowns: UNKNOWN }],
    metadataProps: [entry],
    deviceConfigurations: [
      { configurationId: 'c', pipelineStage: 1, shardingSpec: [{ tensorName: 'x', device: [1] }] },
    ],
    $unknowns: UNKNOWN,
  };
  const wire: WireModel = {
    irVersion: 11,
    producerName: 'p',
    producerVersion: '1',
    domain: 'd',
    modelVersion: 3,
    docString: 'doc',
    graph: {
      name: 'g',
      node: [node],
      initializer: [tensor],
      sparseInitializer: [sparse],
      docString: 'doc',
      input: [{ name: 'x', type, docString: 'in', metadataProps: [entry], $unknowns: UNKNOWN }],
      output: [{ name: 'y', type: { optionalType: { elemType: type, $unknowns: UNKNOWN } } }],
      valueInfo: [
        { name: 'm', type: { mapType: { keyType: 8, valueType: type } } },
        { name: 'o', type: { opaqueType: { domain: 'od', name: 'on' } } },
        { name: 'sp', type: { sparseTensorType: type.tensorType } },
      ],
      quantizationAnnotation: [{ tensorName: 'y', quantParameterTensorNames: [entry], $unknowns: UNKNOWN }],
      metadataProps: [entry],
      $unknowns: UNKNOWN,
    },
    opsetImport: [{ ...OPSET[0], $unknowns: UNKNOWN }],
    metadataProps: [entry],
    trainingInfo: [{ initializationBinding: [entry], algorithm: { name: 'train', initializer: [tensor] } }],
    functions: [
      {
        name: 'Twice',
        domain: 'own',
        overload: 'fast',
        input: ['x'],
        output: ['y'],
        attribute: ['a'],
        attributeProto: [{ name: 'b', type: 1, f: 0.5 }],
        node: [
          { input: ['x', 'x'], output: ['y'], opType: 'Add', attribute: [{ name: 'r', refAttrName: 'a', type: 2 }] },
        ],
        opsetImport: OPSET,
        valueInfo: [{ name: 'y', type }],
        docString: 'doc',
        metadataProps: [entry],
        $unknowns: UNKNOWN,
      },
    ],
    configuration: [{ name: 'c', numDevices: 2, device: ['a', 'b'] }],
    $unknowns: UNKNOWN,
  };
  const before = decodeWire(encodeWire(wire));
  const after = decodeWire(encodeModel(decodeModel(encodeWire(wire))));
  assert.deepEqual(plain(after), plain(before));
  const count = JSON.stringify(plain(before)).split('\u00c0>\\u0007').length - 1;
  assert.ok(count > 30, `${count} unknown fields were read`);
});

test('opening a large model costs its size once', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tierbed-large-'));
  try {
    const path = join(dir, 'large.onnx');
    const weightBytes = 200 << 20;
    const g = new GraphBuilder({ name: 'large' });
    const names = Array.from({ length: 4 }, (_, i) =>
      g.initializer(`w${i}`, denseTensor('float32', [weightBytes / 16], new Uint8Array(weightBytes / 4))),
    );
    g.output(g.node('Sum', names, {}, 'y'), 'float32', [weightBytes / 16]);
    await writeModel(g.build(), path);
    const before = process.memoryUsage().external;
    const model = await readModel(path);
    const grown = process.memoryUsage().external - before;
    assert.ok(grown >= weightBytes * 0.99 && grown <= weightBytes * 1.1, `grew by ${grown} bytes`);
    const [first] = model.graph.initializers;
    assert.ok(
      first && model.graph.initializers.every((w) => initializerBytes(w).buffer === initializerBytes(first).buffer),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a file that is not there, a folder and an empty file are told apart', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tierbed-read-'));
  try {
    await assert.rejects(readModel(join(dir, 'no.onnx')), { kind: 'missing' });
    await assert.rejects(readModel(dir), { kind: 'missing', message: /not a regular file/ });
    writeFileSync(join(dir, 'empty.onnx'), '');
    await assert.rejects(readModel(join(dir, 'empty.onnx')), { kind: 'invalid', message: /empty\.onnx is empty/ });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
