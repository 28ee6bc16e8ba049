import type { DirectionSettings, LinkSettings } from '../types.js';

/** A link as it is without its traces: what is measured when it is proven, as a trace's link is another every second. */
export function withoutTraces(link: LinkSettings): LinkSettings {
  return { ...link, up: withoutTrace(link.up), down: withoutTrace(link.down) };
}

function withoutTrace({ trace: _, ...settings }: DirectionSettings): DirectionSettings {
  return settings;
}
