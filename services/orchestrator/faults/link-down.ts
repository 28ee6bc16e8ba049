import type { LinkName } from '../../link/types.js';
import { type Fault, linkOption, optionsSchema } from './fault.js';

export const linkDown: Fault = {
  name: 'link-down',
  help: 'Nothing passes a link, either way.',
  options: optionsSchema({ link: linkOption }, ['link']),
  target: ({ link }) => String(link),
  claims: ({ link }) => [`link/${link}/down`],
  start: ({ links }, { link }) => links.add(link as LinkName, (settings) => ({ ...settings, blocked: true })),
};
