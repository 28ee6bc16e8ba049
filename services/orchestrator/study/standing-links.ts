import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCheckedYaml } from '../../../base/checked-yaml.js';
import { packageRoot } from '../../../base/paths.js';
import type { LinkName, LinkSettings } from '../../link/types.js';
import { resolveLinks } from './links.js';
import { linksSchema } from './schema.js';
import type { LinkChoice, Study } from './study.js';

const FILE = join('tiers', 'testbed.yaml');
const schema = { type: 'object', properties: { links: linksSchema }, required: ['links'], additionalProperties: false };

/** What the links of a testbed are while no study runs, as tiers/testbed.yaml says. @throws TierbedError `invalid` */
export function resolveStandingLinks(): LinkSettings[] {
  const text = readFileSync(join(packageRoot, FILE), 'utf8');
  const { data, errorAt } = parseCheckedYaml<{ links: Record<LinkName, string | LinkChoice> }>(text, FILE, schema);
  const choice = (name: LinkName): LinkChoice => {
    const link = data.links[name];
    return typeof link === 'string' ? { preset: link } : link;
  };
  const links = { 'mobile-edge': choice('mobile-edge'), 'edge-cloud': choice('edge-cloud') };
  // Links are all that is read of it.
  return resolveLinks({ path: FILE, baseDir: packageRoot, study: { links } as Study, errorAt });
}
