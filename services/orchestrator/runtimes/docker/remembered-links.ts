import { overriding } from '../../../../base/overriding.js';
import type { LinkName, LinkSettings, OpenLinks } from '../../../link/types.js';

/** Open links, and what they were last set to. */
export interface RememberedLinks {
  readonly links: OpenLinks;
  settings(): readonly LinkSettings[];
}

/** Links that remember what is set, so that it can be set again when what shapes them began anew. */
export function rememberLinks(open: OpenLinks, settings: readonly LinkSettings[]): RememberedLinks {
  const known = new Map<LinkName, LinkSettings>(settings.map((link) => [link.name, link]));
  const set = async (link: LinkSettings): Promise<void> => {
    await open.set(link);
    known.set(link.name, link);
  };
  return { links: overriding(open, { set }), settings: () => [...known.values()] };
}
