import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../../../base/random.js';
import { type DType, denseTensor, type NamedTensor } from '../../../../onnx/tensor.js';
import {
  decodeInferRequest,
  decodeInferResponse,
  decodeStreamResponse,
  encodeInferRequest,
  encodeInferResponse,
  encodeStreamResponse,
} from '../../../../services/rpc/codec/codec.js';
import { DATATYPE_OF } from '../../../../services/rpc/codec/datatypes.js';
import type { InferRequest, Parameter, SentStamp } from '../../../../services/rpc/codec/messages.js';
import { toGrpc } from '../../../../services/rpc/gather.js';
import { encoded, oracle, plain } from './oracle.js';
import { DTYPES, framed, randomRequest, randomTensor } from './tensors.js';

/** Raw bytes of a tensor as the protocol says, put together here on its own. */
function rawOf({ tensor }: NamedTensor): Buffer {
  if (tensor.dtype !== 'string') return Buffer.from(tensor.data);
  return Buffer.concat(
    tensor.data.flatMap((element) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(element.byteLength);
      return [length, element];
    }),
  );
}

function oracleParameters(parameters: ReadonlyMap<string, Parameter>): Record<string, object> {
  const entries = [...parameters].map(([key, value]) => {
    if (typeof value === 'boolean') return [key, { boolParam: value }];
    if (typeof value === 'number') return [key, { doubleParam: value }];
    if (typeof value === 'string') return [key, { stringParam: value }];
    return [key, value >= 2n ** 63n ? { uint64Param: value.toString() } : { int64Param: value.toString() }];
  });
  return Object.fromEntries(entries);
}

function withoutOneofs(parameters: unknown): unknown {
  return Object.fromEntries(
    Object.entries(parameters as Record<string, Record<string, unknown>>).map(
      ([key, { parameterChoice: _, ...rest }]) => [key, rest],
    ),
  );
}

function oracleTensor({ name, tensor }: NamedTensor): object {
  return { name, datatype: DATATYPE_OF[tensor.dtype], shape: tensor.shape.map(String) };
}

/** Two lists of tensors are the same, byte for byte. */
function sameTensors(actual: readonly NamedTensor[], expected: readonly NamedTensor[]): void {
  assert.deepEqual(actual.map(oracleTensor), expected.map(oracleTensor));
  for (const [i, tensor] of actual.entries()) assert.deepEqual(rawOf(tensor), rawOf(expected[i] as NamedTensor));
}

describe('codec against protobufjs', () => {
  const forEachSeed = (check: (request: InferRequest) => void) => {
    for (let seed = 1; seed <= 150; seed++) {
      try {
        check(randomRequest(seed));
      } catch (error) {
        throw new Error(`with seed ${seed}`, { cause: error });
      }
    }
  };

  it('encodes what protobufjs reads', () => {
    forEachSeed((request) => {
      const message = plain(oracle.request, framed(encodeInferRequest(request)));
      assert.equal(message.modelName, request.modelName);
      assert.equal(message.modelVersion, request.modelVersion ?? '');
      assert.equal(message.id, request.id ?? '');
      assert.deepEqual(withoutOneofs(message.parameters), oracleParameters(request.parameters));
      assert.deepEqual(
        (message.inputs as Record<string, unknown>[]).map(({ name, datatype, shape }) => ({ name, datatype, shape })),
        request.inputs.map(oracleTensor),
      );
      assert.deepEqual(
        (message.rawInputContents as Uint8Array[]).map((raw) => Buffer.from(raw)),
        request.inputs.map(rawOf),
      );
      assert.deepEqual(
        (message.outputs as { name: string }[]).map((output) => output.name),
        request.requestedOutputs ?? [],
      );

      const { inputs, requestedOutputs: _, ...common } = request;
      const answer = plain(oracle.response, framed(encodeInferResponse({ ...common, outputs: inputs })));
      assert.equal(answer.modelName, request.modelName);
      assert.deepEqual(withoutOneofs(answer.parameters), oracleParameters(request.parameters));
      assert.deepEqual(
        (answer.rawOutputContents as Uint8Array[]).map((raw) => Buffer.from(raw)),
        inputs.map(rawOf),
      );
    });
  });

  it('reads what protobufjs encodes', () => {
    forEachSeed((request) => {
      const common = {
        modelName: request.modelName,
        modelVersion: request.modelVersion ?? '',
        id: request.id ?? '',
        parameters: oracleParameters(request.parameters),
      };
      const raw = request.inputs.map(rawOf);
      const tensors = request.inputs.map(oracleTensor);
      const outputs = (request.requestedOutputs ?? []).map((name) => ({ name }));
      const read = decodeInferRequest(
        encoded(oracle.request, { ...common, inputs: tensors, rawInputContents: raw, outputs }),
      );
      assert.equal(read.modelName, request.modelName);
      assert.equal(read.modelVersion, request.modelVersion);
      assert.equal(read.id, request.id);
      assert.deepEqual(read.parameters, request.parameters);
      assert.deepEqual(read.requestedOutputs, request.requestedOutputs);
      sameTensors(read.inputs, request.inputs);

      const answer = decodeInferResponse(
        encoded(oracle.response, { ...common, outputs: tensors, rawOutputContents: raw }),
      );
      assert.deepEqual(answer.parameters, request.parameters);
      sameTensors(answer.outputs, request.inputs);
    });
  });
});

describe('typed contents', () => {
  const cases: Partial<Record<DType, { field: string; values: readonly unknown[]; bytes: Uint8Array }>> = {
    bool: { field: 'boolContents', values: [true, false, true], bytes: Uint8Array.of(1, 0, 1) },
    int8: { field: 'intContents', values: [-128, 127, -1], bytes: new Uint8Array(Int8Array.of(-128, 127, -1).buffer) },
    int16: { field: 'intContents', values: [-32768, 32767, -1], bytes: bytesOf(Int16Array.of(-32768, 32767, -1)) },
    int32: {
      field: 'intContents',
      values: [-(2 ** 31), 2 ** 31 - 1, -7],
      bytes: bytesOf(Int32Array.of(-(2 ** 31), 2 ** 31 - 1, -7)),
    },
    int64: {
      field: 'int64Contents',
      values: [(-(2n ** 63n)).toString(), (2n ** 63n - 1n).toString(), '-300'],
      bytes: bytesOf(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, -300n)),
    },
    uint8: { field: 'uintContents', values: [0, 255, 128], bytes: Uint8Array.of(0, 255, 128) },
    uint16: { field: 'uintContents', values: [0, 65535, 300], bytes: bytesOf(Uint16Array.of(0, 65535, 300)) },
    uint32: {
      field: 'uintContents',
      values: [0, 2 ** 32 - 1, 70000],
      bytes: bytesOf(Uint32Array.of(0, 2 ** 32 - 1, 70000)),
    },
    uint64: {
      field: 'uint64Contents',
      values: ['0', (2n ** 64n - 1n).toString(), '123456789012345678'],
      bytes: bytesOf(BigUint64Array.of(0n, 2n ** 64n - 1n, 123456789012345678n)),
    },
    float32: { field: 'fp32Contents', values: [1.5, -2.25, 0], bytes: bytesOf(Float32Array.of(1.5, -2.25, 0)) },
    float64: { field: 'fp64Contents', values: [0.1, -1e300, 0], bytes: bytesOf(Float64Array.of(0.1, -1e300, 0)) },
  };

  for (const dtype of DTYPES) {
    const shape = ['3', '1'];
    const datatype = DATATYPE_OF[dtype];
    const typed = cases[dtype];

    it(`${datatype} in typed contents`, () => {
      if (dtype === 'string') {
        const values = [Buffer.from('a'), Buffer.alloc(0), Buffer.from([0xff, 0])];
        const { inputs } = decodeInferRequest(
          encoded(oracle.request, { inputs: [{ name: 'x', datatype, shape, contents: { bytesContents: values } }] }),
        );
        assert.deepEqual(inputs[0]?.tensor.data, values);
        return;
      }
      if (!typed) {
        const message = encoded(oracle.request, {
          inputs: [{ name: 'x', datatype, shape, contents: { intContents: [1, 2, 3] } }],
        });
        assert.throws(() => decodeInferRequest(message), { kind: 'invalid', message: /x: .*no typed contents/ });
        return;
      }
      const contents = { [typed.field]: typed.values };
      const message = encoded(oracle.request, { inputs: [{ name: 'x', datatype, shape, contents }] });
      const { inputs } = decodeInferRequest(message);
      assert.deepEqual(inputs[0]?.tensor, denseTensor(dtype, [3, 1], Buffer.from(typed.bytes)));
      const answer = decodeInferResponse(
        encoded(oracle.response, { outputs: [{ name: 'x', datatype, shape, contents }] }),
      );
      assert.deepEqual(answer.outputs, inputs);
    });

    it(`${datatype} in raw contents`, () => {
      for (let seed = 0; seed < 5; seed++) {
        const input = randomTensor(new Random(seed), 'x', dtype);
        const { inputs } = decodeInferRequest(
          framed(encodeInferRequest({ modelName: 'm', parameters: new Map(), inputs: [input] })),
        );
        sameTensors(inputs, [input]);
      }
    });
  }

  it('takes elements that are not packed', () => {
    // InferTensorContents { int_contents: 5, int_contents: -1 (ten bytes) } and fp32_contents: 1.0, 2.0, one by one.
    const ints = Buffer.from('1005' + '10ffffffffffffffffff01', 'hex');
    const floats = Buffer.from('350000803f' + '3500000040', 'hex');
    const tensorOf = (datatype: string, contents: Buffer) =>
      decodeInferRequest(tensorField(datatype, contents)).inputs[0]?.tensor;
    assert.deepEqual(tensorOf('INT32', ints)?.data, Buffer.from(bytesOf(Int32Array.of(5, -1))));
    assert.deepEqual(tensorOf('FP32', floats)?.data, Buffer.from(bytesOf(Float32Array.of(1, 2))));
  });

  it('views FP32 contents where they lie', () => {
    const message = encoded(oracle.request, {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2], contents: { fp32Contents: [1, 2] } }],
    });
    const [input] = decodeInferRequest(message).inputs;
    assert.equal((input?.tensor.data as Uint8Array | undefined)?.buffer, message.buffer);
  });
});

describe('copies', () => {
  const data = new Uint8Array(4096).fill(7);
  const input = (name: string): NamedTensor => ({ name, tensor: denseTensor('float64', [512], data) });

  it('encodes without copying a tensor', () => {
    const gather = encodeInferRequest({ modelName: 'm', parameters: new Map(), inputs: [input('a'), input('b')] });
    assert.equal(gather.parts.filter((part) => part === data).length, 2);
  });

  it('decodes raw contents as aligned views of the message', () => {
    for (let extra = 0; extra < 20; extra++) {
      const message = framed(
        encodeInferRequest({ modelName: 'm'.repeat(extra), parameters: new Map(), inputs: [input('a'), input('b')] }),
      );
      for (const { tensor } of decodeInferRequest(message).inputs) {
        const bytes = tensor.data as Uint8Array;
        assert.equal(bytes.buffer, message.buffer);
        assert.equal(bytes.byteOffset % 8, 0);
      }
    }
  });

  it('puts a message together for a grpc-js that does not take parts', () => {
    const request = randomRequest(3);
    const whole = toGrpc(encodeInferRequest(request), false);
    assert.ok(Buffer.isBuffer(whole));
    assert.deepEqual(whole, framed(encodeInferRequest(request)));
  });
});

describe('stamps', () => {
  const request: InferRequest = { modelName: 'm', parameters: new Map([['mine', 1n]]), inputs: [] };

  it('carries the sender’s times to the receiver and reports them to the sender', () => {
    let sent: SentStamp | undefined;
    const before = process.hrtime.bigint();
    const message = framed(
      encodeInferRequest({ ...request, sending: { stamp: true, onSent: (stamp) => (sent = stamp) } }),
    );
    const { received, parameters } = decodeInferRequest(message);
    assert.ok(sent && received?.sender);
    assert.equal(sent.bytes, message.byteLength);
    assert.equal(received.bytes, message.byteLength);
    assert.deepEqual(received.sender, { serialiseNs: sent.serialiseNs, sentNs: sent.sentNs });
    assert.ok(before < sent.sentNs && sent.sentNs < received.arrivedNs && sent.serialiseNs > 0n);
    assert.ok(received.arrivedNs + received.deserialiseNs <= process.hrtime.bigint());
    assert.deepEqual(parameters, request.parameters, 'stamps are no parameters of the model');
  });

  it('are parameters that protobufjs reads', () => {
    let sent: SentStamp | undefined;
    const onSent = (stamp: SentStamp) => {
      sent = stamp;
    };
    const sending = { stamp: true, onSent };
    const message = plain(oracle.request, framed(encodeInferRequest({ ...request, sending })));
    const parameters = message.parameters as Record<string, { int64Param: string }>;
    assert.equal(parameters.tierbed_serialise_ns?.int64Param, String(sent?.serialiseNs));
    assert.equal(parameters.tierbed_sent_ns?.int64Param, String(sent?.sentNs));
  });

  it('are not there unless asked for', () => {
    assert.equal(decodeInferRequest(framed(encodeInferRequest(request))).received?.sender, undefined);
  });

  it('of the hop before do not travel on', () => {
    const parameters = new Map([
      ['tierbed_sent_ns', 1n],
      ['mine', 2n],
    ]);
    const message = plain(oracle.request, framed(encodeInferRequest({ ...request, parameters })));
    assert.deepEqual(Object.keys(message.parameters as object), ['mine']);
  });

  it('survive inside a stream response', () => {
    const gather = encodeStreamResponse(
      encodeInferResponse({ modelName: 'm', parameters: new Map(), outputs: [], sending: { stamp: true } }),
    );
    const answer = decodeStreamResponse(framed(gather));
    assert.ok(!('errorMessage' in answer) && answer.received?.sender && answer.received.sender.sentNs > 0n);
  });
});

it('reads and writes stream responses as protobufjs does', () => {
  const error = framed(encodeStreamResponse({ errorMessage: 'no such model' }));
  assert.equal(plain(oracle.streamResponse, error).errorMessage, 'no such model');
  assert.deepEqual(decodeStreamResponse(encoded(oracle.streamResponse, { errorMessage: 'e' })), { errorMessage: 'e' });
  const { inputs, requestedOutputs: _, ...common } = randomRequest(5);
  const answer = framed(encodeStreamResponse(encodeInferResponse({ ...common, outputs: inputs })));
  const message = plain(oracle.streamResponse, answer).inferResponse as { rawOutputContents: Uint8Array[] };
  assert.deepEqual(
    message.rawOutputContents.map((raw) => Buffer.from(raw)),
    inputs.map(rawOf),
  );
});

function bytesOf(values: { readonly buffer: ArrayBufferLike }): Uint8Array {
  return new Uint8Array(values.buffer);
}

/** ModelInferRequest.inputs: one tensor `x` of two elements with the given InferTensorContents. */
function tensorField(datatype: string, contents: Buffer): Buffer {
  const inner = Buffer.concat([
    Buffer.from([0x0a, 1, 0x78, 0x12, datatype.length]),
    Buffer.from(datatype),
    Buffer.from([0x1a, 1, 2, 0x2a, contents.length]),
    contents,
  ]);
  return Buffer.concat([Buffer.from([0x2a, inner.length]), inner]);
}
