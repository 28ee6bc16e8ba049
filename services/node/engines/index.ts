import { TierbedError } from '../../../base/errors.js';
import type { Engine } from '../engine.js';

/** Every engine, loaded when it is first asked for: a node pays memory for the one that it runs. */
const ENGINES: Readonly<Record<string, () => Promise<Engine>>> = {
  native: async () => (await import('./native.js')).native,
  wasm: async () => (await import('./wasm.js')).wasm,
};

export const ENGINE_NAMES: readonly string[] = Object.keys(ENGINES);

/** @throws TierbedError `invalid` when there is no such engine */
export function checkEngine(name: string): void {
  if (Object.hasOwn(ENGINES, name)) return;
  throw new TierbedError('invalid', `there is no engine "${name}"`, { fix: `Use ${ENGINE_NAMES.join(' or ')}.` });
}

/** @throws TierbedError `invalid` when there is no such engine */
export async function engineNamed(name: string): Promise<Engine> {
  checkEngine(name);
  return (ENGINES[name] as () => Promise<Engine>)();
}
