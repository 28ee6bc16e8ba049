import { join } from 'node:path';
import protobuf from 'protobufjs';
import { packageRoot } from '../../../../base/paths.js';

const root = protobuf.loadSync(join(packageRoot, 'proto', 'inference.proto'));

/** protobufjs's own reading of proto/inference.proto: it shares no code with the codec under test. */
export const oracle = {
  request: root.lookupType('inference.ModelInferRequest'),
  response: root.lookupType('inference.ModelInferResponse'),
  streamResponse: root.lookupType('inference.ModelStreamInferResponse'),
};

/** A message of the oracle as plain data: 64-bit numbers as decimal strings, bytes as Uint8Array. */
export function plain(type: protobuf.Type, message: Uint8Array): Record<string, unknown> {
  return type.toObject(type.decode(message), { longs: String, arrays: true, defaults: true, oneofs: true });
}

/** Bytes of a message that protobufjs encodes. */
export function encoded(type: protobuf.Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}
