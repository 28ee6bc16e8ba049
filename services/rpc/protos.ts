import { join } from 'node:path';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { TierbedError } from '../../base/errors.js';
import { packageRoot } from '../../base/paths.js';
import { malformed } from './codec/wire.js';

/**
 * A file of `proto/` as grpc-js and its reflection want it. Messages are plain objects with camel-case keys, 64-bit numbers
 * as numbers (exact up to 2^53), enums by name, absent messages as null, and everything else with its default.
 */
export function loadProto(file: string): PackageDefinition {
  return loadSync(join(packageRoot, 'proto', file), {
    keepCase: false,
    longs: Number,
    enums: String,
    defaults: true,
    arrays: true,
    objects: true,
    oneofs: true,
  });
}

/** The same file for reflection, which tells field names as the file has them. */
export function loadProtoForReflection(file: string): PackageDefinition {
  return loadSync(join(packageRoot, 'proto', file), { keepCase: true });
}

/** How a message of one type becomes bytes and comes back. */
export interface Codec<T> {
  encode(message: T): Buffer;
  /** @throws TierbedError `invalid` */
  decode(bytes: Buffer): T;
}

interface LoadedMethod {
  readonly path: string;
  readonly requestSerialize: (message: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => object;
  readonly responseSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

/** The codecs of one method of a loaded file; `T` is what the file says, which only tests can check. */
export function codecsOf<Request, Response>(
  definition: PackageDefinition,
  service: string,
  name: string,
): { readonly path: string; readonly request: Codec<Request>; readonly response: Codec<Response> } {
  const method = (definition[service] as unknown as Record<string, LoadedMethod> | undefined)?.[name];
  if (!method) throw new TierbedError('internal', `${service} has no method ${name}`);
  return {
    path: method.path,
    request: codec(method.requestSerialize, method.requestDeserialize),
    response: codec(method.responseSerialize, method.responseDeserialize),
  };
}

function codec<T>(serialise: (message: object) => Buffer, deserialise: (bytes: Buffer) => object): Codec<T> {
  return {
    encode: (message) => serialise(message as object),
    decode: (bytes) => {
      try {
        return deserialise(bytes) as T;
      } catch (error) {
        throw malformed(error instanceof Error ? error.message : String(error));
      }
    },
  };
}
