/*
 * Networks number their layers: `encoder.layer.3.output.dense.weight`, `layer2.4.conv1.weight`. A student has fewer of
 * them than its teacher.
 */

/** A name with the number of the layer that it belongs to. */
export interface Numbered {
  /** Up to the number, e.g. `encoder.layer.`. */
  readonly before: string;
  readonly layer: number;
  /** Behind it, e.g. `.output.dense.weight`; may be empty. */
  readonly behind: string;
}

/** The first number that stands between dots, or at the end behind one. */
const NUMBERED = /^(.*?\.)(\d+)(\..*)?$/;

/** undefined for a name without a layer's number. */
export function numbered(name: string): Numbered | undefined {
  const [, before, layer, behind = ''] = NUMBERED.exec(name) ?? [];
  return before === undefined ? undefined : { before, layer: Number(layer), behind };
}

/** How many layers there are under each beginning: the highest number and one. */
export function layerCounts(names: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) {
    const found = numbered(name);
    if (found) counts.set(found.before, Math.max(counts.get(found.before) ?? 0, found.layer + 1));
  }
  return counts;
}

/**
 * The teacher's layer that a student's layer begins as: spread from the first to the last, as DistilBERT took layers 0, 2,
 * 4, 7, 9 and 11 of twelve for its six (Sanh et al., 2019, arXiv:1910.01108). The first stays the first: in convolutional
 * networks it is of another shape than those behind it.
 */
export function spreadLayer(layer: number, students: number, teachers: number): number {
  if (students <= 1) return 0;
  return Math.round((layer * (teachers - 1)) / (students - 1));
}

/**
 * The teacher's layer that a student's layer is to answer like: the last of those that it stands for (the uniform mapping
 * of TinyBERT, Jiao et al., EMNLP Findings 2020, arXiv:1909.10351).
 */
export function uniformLayer(layer: number, students: number, teachers: number): number {
  return Math.max(0, Math.round(((layer + 1) * teachers) / students) - 1);
}
