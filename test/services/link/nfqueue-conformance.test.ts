import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { InterfaceDriver } from '../../../services/link/interface-driver.js';
import { interfaceConformance } from './interface-conformance.js';

const MODULE = new URL('../../../services/link/drivers/nfqueue.js', import.meta.url);

if (existsSync(fileURLToPath(MODULE))) {
  const { nfqueueDriver } = (await import(MODULE.href)) as { readonly nfqueueDriver: InterfaceDriver };
  const lacking = await nfqueueDriver.unavailable();
  if (lacking === undefined || process.env.CI) interfaceConformance(nfqueueDriver, MODULE, 'nfqueueDriver');
  else test('nfqueue', { skip: lacking });
}
