import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { TierbedError } from '../../base/errors.js';
import { Random } from '../../base/random.js';
import { decodeModel } from '../../onnx/read.js';
import { encodeWire, type WireGraph, type WireModel, type WireNode, type WireTensor } from '../../onnx/schema.js';
import { needsSharedData, sharedModels } from '../support/shared-data.js';

const OPSET = [{ domain: '', version: 17 }];

/** x -> node(s) -> y, with whatever a test changes. */
function wire(graph: WireGraph, model: Partial<WireModel> = {}): Uint8Array {
  return encodeWire({
    irVersion: 8,
    opsetImport: OPSET,
    graph: { input: [{ name: 'x' }], output: [{ name: 'y' }], ...graph },
    ...model,
  });
}

function node(name: string, input: string[], output: string[], more: WireNode = {}): WireNode {
  return { name, opType: 'Relu', input, output, ...more };
}

const GOOD = { node: [node('n', ['x'], ['y'])] };

function refused(bytes: Uint8Array, message: RegExp, hint?: string): void {
  assert.throws(
    () => decodeModel(bytes, { path: '/some/folder/bad.onnx' }),
    (error) => {
      assert.ok(error instanceof TierbedError, `${hint}: ${error}`);
      assert.equal(error.kind, 'invalid', error.message);
      assert.match(error.message, message);
      assert.match(error.message, /^bad\.onnx/);
      assert.ok(error.fix, `${error.message} has a fix`);
      return true;
    },
  );
}

test('a good model passes', () => {
  assert.equal(decodeModel(wire(GOOD)).graph.nodes.length, 1);
});

test('an empty file is refused', () => refused(new Uint8Array(), /is empty/));

test('a model cut short anywhere is refused, or is whole but for its tail', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  const small = sharedModels(dir).filter(({ name }) => /mnist|kws|silero|vit/.test(name));
  assert.equal(small.length, 4);
  for (const { name, path } of small) {
    const bytes = readFileSync(path);
    const random = new Random(1).fork(name);
    const ends = [...Array(64).keys(), ...Array.from({ length: 200 }, () => random.integer(bytes.length))];
    let refusals = 0;
    for (const end of ends) {
      try {
        const { graph } = decodeModel(bytes.subarray(0, end), { path });
        assert.ok(graph.nodes.length > 0, `${name} cut at ${end} lost its nodes silently`);
      } catch (error) {
        assert.ok(error instanceof TierbedError && error.kind === 'invalid', `${name} cut at ${end}: ${error}`);
        refusals++;
      }
    }
    assert.ok(refusals >= ends.length - 2, `${name}: ${refusals} of ${ends.length} refused`);
  }
});

test('random bytes are refused', () => {
  const random = new Random(7);
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: 1 + random.integer(300) }, () => random.integer(256));
    assert.throws(() => decodeModel(bytes), { name: 'TierbedError', kind: 'invalid' });
  }
});

test('a model with bytes changed is read or refused, and nothing else', async (t) => {
  const dir = needsSharedData(t);
  if (!dir) return;
  const { path } = sharedModels(dir).find(({ name }) => name.startsWith('mnist')) ?? {};
  assert.ok(path);
  const bytes = readFileSync(path);
  const random = new Random(3);
  let refusals = 0;
  for (let i = 0; i < 2000; i++) {
    const changed = Buffer.from(bytes);
    for (let n = 0; n < 4; n++) changed[random.integer(2000)] = random.integer(256);
    try {
      decodeModel(changed, { path, dir });
    } catch (error) {
      assert.ok(error instanceof TierbedError, `${error}`);
      refusals++;
    }
  }
  assert.ok(refusals > 500, `${refusals}`);
});

/** Wraps bytes as a length-delimited field. */
function field(number: number, inner: Uint8Array): Uint8Array {
  return Buffer.concat([varint(number * 8 + 2), varint(inner.length), inner]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.of(...bytes, value);
}

test('subgraphs in subgraphs, ten thousand deep, are refused', () => {
  let graph: Uint8Array = new Uint8Array();
  // GraphProto.node = 1, NodeProto.attribute = 5, AttributeProto.g = 6.
  for (let i = 0; i < 10_000; i++) graph = field(1, field(5, field(6, graph)));
  refused(field(7, graph), /nested too deep/);
});

test('groups in groups are refused', () => {
  refused(Buffer.alloc(100_000, 0x0b), /bad\.onnx is not an ONNX model|nested too deep/);
});

test('lengths that the file does not have are refused, and no memory is taken for them', () => {
  const before = process.memoryUsage();
  for (const length of [1000, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 40]) {
    // ModelProto.graph = 7; GraphProto.initializer = 5 inside it; TensorProto.raw_data = 9 and float_data = 4 inside that.
    refused(Buffer.concat([varint(7 * 8 + 2), varint(length)]), /not an ONNX model/, `${length}`);
    const raw = Buffer.concat([varint(9 * 8 + 2), varint(length)]);
    refused(field(7, field(5, raw)), /not an ONNX model/, `${length}`);
    const floats = Buffer.concat([varint(4 * 8 + 2), varint(length)]);
    refused(field(7, field(5, floats)), /not an ONNX model/, `${length}`);
  }
  const after = process.memoryUsage();
  assert.ok(after.external + after.heapTotal - before.external - before.heapTotal < 64 << 20);
});

function weight(tensor: WireTensor): Uint8Array {
  return wire({ ...GOOD, initializer: [{ name: 'w', dataType: 1, ...tensor }] });
}

test('dims that do not fit the data are refused with both sizes', () => {
  refused(weight({ dims: [3], rawData: new Uint8Array(8) }), /tensor w float32 \[3\] takes 12 bytes, the file has 8/);
  refused(weight({ dims: [3], floatData: [1, 2] }), /takes 12 bytes, the file has 8/);
  refused(weight({ dims: [2 ** 30, 2 ** 10], rawData: new Uint8Array(8) }), /takes 4398046511104 bytes/);
  refused(weight({ dims: [2 ** 40, 2 ** 40], rawData: new Uint8Array(8) }), /impossible dims/);
  refused(weight({ dims: [-1], rawData: new Uint8Array() }), /impossible dims \[-1\]/);
  refused(weight({ dims: [2 ** 40], dataType: 8, stringData: [] }), /takes 1099511627776 strings/);
  refused(weight({ dims: [1], segment: {} }), /segments/);
  refused(weight({ dims: [4], dataType: 22, rawData: new Uint8Array(4) }), /int4 \[4\] takes 2 bytes, the file has 4/);
});

test('a tensor inside a node is named with its node', () => {
  const attribute = [{ name: 'value', type: 4, t: { dims: [3], dataType: 1, rawData: new Uint8Array(1) } }];
  refused(
    wire({ node: [node('const', [], ['y'], { opType: 'Constant', attribute })] }),
    /node const: tensor .*takes 12 bytes/,
  );
});

test('cycles are refused with the nodes on them', () => {
  refused(
    wire({ node: [node('a', ['q'], ['p']), node('b', ['p'], ['q']), node('c', ['q'], ['y'])] }),
    /cycle: .*node a .*node b|cycle: .*node b .*node a/,
  );
  refused(wire({ node: [node('self', ['y'], ['y'])] }), /cycle: node self/);
  const body = { node: [node('inner', ['y'], ['z'])], output: [{ name: 'z' }] };
  const attribute = [{ name: 'then_branch', type: 5, g: body }];
  refused(wire({ node: [node('if', ['x'], ['y'], { opType: 'If', attribute })] }), /cycle: node if/);
  const many = Array.from({ length: 50_000 }, (_, i) => node(`n${i}`, [`t${(i + 1) % 50_000}`], [`t${i}`]));
  refused(wire({ node: many, output: [{ name: 't0' }] }), /cycle: .* \.\.\./);
});

test('a graph out of order is sorted, not refused', () => {
  const model = decodeModel(wire({ node: [node('b', ['p'], ['y']), node('a', ['x'], ['p'])] }));
  assert.equal(model.graph.nodes[0]?.name, 'b');
});

test('names given twice are refused', () => {
  refused(wire({ node: [node('a', ['x'], ['y']), node('b', ['x'], ['y'])] }), /tensor y is defined twice/);
  refused(wire({ node: [node('a', ['x'], ['y', 'y'])] }), /tensor y is defined twice/);
  refused(wire({ node: [node('a', ['x'], ['x'])], output: [{ name: 'x' }] }), /tensor x is defined twice/);
  refused(wire({ ...GOOD, input: [{ name: 'x' }, { name: 'x' }] }), /tensor x is defined twice/);
  refused(wire({ ...GOOD, output: [{ name: 'y' }, { name: 'y' }] }), /tensor y is defined twice in the outputs/);
  const w = { name: 'w', dataType: 1, dims: [0] };
  refused(wire({ ...GOOD, initializer: [w, w] }), /tensor w is defined twice/);
  refused(
    wire({ node: [node('a', ['x'], ['w'])], initializer: [w], output: [{ name: 'w' }] }),
    /tensor w is defined twice/,
  );
});

test('a weight that is declared as an input too is the older way, and passes', () => {
  const w = { name: 'w', dataType: 1, dims: [0] };
  decodeModel(wire({ ...GOOD, input: [{ name: 'x' }, { name: 'w' }], initializer: [w] }));
});

test('tensors that nothing makes are refused with the node that takes them', () => {
  refused(wire({ node: [node('n', ['nowhere'], ['y'])] }), /node n \(Relu\) takes tensor nowhere/);
  refused(wire({ ...GOOD, output: [{ name: 'nowhere' }] }), /output nowhere .*made by nothing/);
  const body = { node: [node('inner', ['nowhere'], ['z'])], output: [{ name: 'z' }] };
  const attribute = [{ name: 'then_branch', type: 5, g: body }];
  refused(
    wire({ node: [node('if', ['x'], ['y'], { opType: 'If', attribute })] }),
    /node inner .*takes tensor nowhere.*subgraph/,
  );
  // What a branch makes is not visible outside of it.
  const good = { node: [node('inner', ['x'], ['z'])], output: [{ name: 'z' }] };
  const nodes = [
    node('if', ['x'], ['p'], { opType: 'If', attribute: [{ name: 'then_branch', type: 5, g: good }] }),
    node('n', ['z'], ['y']),
  ];
  refused(wire({ node: nodes }), /node n \(Relu\) takes tensor z/);
});

test('a model without graph, outputs, operators or names is refused', () => {
  refused(encodeWire({ irVersion: 8, opsetImport: OPSET }), /has no graph/);
  refused(wire({ ...GOOD, output: [] }), /has no output/);
  refused(wire({ node: [node('n', ['x'], ['y'], { opType: '' })] }), /node n .*names no operator/);
  refused(wire({ ...GOOD, input: [{ name: 'x' }, {}] }), /input without a name/);
});

test('versions that are not supported are named', () => {
  refused(wire(GOOD, { irVersion: 99 }), /IR version 99; supported are 3 to \d+/);
  refused(wire(GOOD, { irVersion: 1 }), /IR version 1;/);
  refused(
    wire(GOOD, { opsetImport: [{ domain: '', version: 99 }] }),
    /version 99 of the operators ai\.onnx; supported are 1 to \d+/,
  );
  refused(wire(GOOD, { opsetImport: [] }), /imports no operator set/);
  refused(
    wire({ node: [node('n', ['x'], ['y'], { domain: 'other.domain' })] }),
    /node n .*domain other\.domain, which the model does not import/,
  );
});

test('functions that call themselves or miss tensors are refused', () => {
  const call = (opType: string) => node('call', ['a'], ['b'], { opType, domain: 'own' });
  const f = (name: string, nodes: WireNode[]) => ({
    name,
    domain: 'own',
    input: ['a'],
    output: ['b'],
    node: nodes,
    opsetImport: OPSET,
  });
  const graph = { node: [node('n', ['x'], ['y'], { opType: 'F', domain: 'own' })] };
  decodeModel(wire(graph, { functions: [f('F', [node('i', ['a'], ['b'])])] }));
  refused(wire(graph, { functions: [f('F', [call('F')])] }), /function own:F calls itself/);
  refused(wire(graph, { functions: [f('F', [call('G')]), f('G', [call('F')])] }), /function own:F calls itself/);
  refused(wire(graph, { functions: [f('F', [node('i', ['q'], ['b'])])] }), /node i .*function own:F takes tensor q/);
  refused(wire(graph, { functions: [f('F', [])] }), /output b of function own:F/);
  refused(
    wire(graph, { functions: [f('F', [node('i', ['a'], ['b'])]), f('F', [node('i', ['a'], ['b'])])] }),
    /function twice/,
  );
  const chain = Array.from({ length: 20_000 }, (_, i) => f(`F${i}`, [call(`F${i + 1}`)]));
  refused(
    wire(GOOD, { functions: [...chain, f('F20000', [node('i', ['a'], ['b'])])] }),
    /call one another over 500 deep/,
  );
});
