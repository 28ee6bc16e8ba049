/** Nodes that go back to float together, and what quantising them alone does to the model's outputs. */
export interface Unit {
  readonly nodes: readonly string[];
  /** As `OutputError` has it. */
  readonly error: number;
}

/**
 * Measures how much each node matters, the most first. Where there are more nodes than measurements, runs of neighbouring
 * nodes are measured together, and the run that matters most is halved until the measurements are used up.
 *
 * @param nodes in running order
 * @param budget measurements
 * @param measure gives the error of the outputs when these nodes alone are quantised
 */
export async function rankedUnits(
  nodes: readonly string[],
  budget: number,
  measure: (nodes: readonly string[]) => Promise<number>,
): Promise<readonly Unit[]> {
  const measured = async (part: readonly string[]): Promise<Unit> => ({ nodes: part, error: await measure(part) });
  const units: Unit[] = [];
  const parts = nodes.length <= budget ? nodes.length : Math.max(1, budget >> 1);
  for (let i = 0; i < parts; i++) {
    units.push(await measured(nodes.slice(startOf(i, parts, nodes), startOf(i + 1, parts, nodes))));
  }
  for (let left = budget - parts; left >= 2; left -= 2) {
    const [largest] = units.filter((unit) => unit.nodes.length > 1).sort(byError);
    if (!largest) break;
    const middle = largest.nodes.length >> 1;
    units.splice(units.indexOf(largest), 1);
    units.push(await measured(largest.nodes.slice(0, middle)), await measured(largest.nodes.slice(middle)));
  }
  return units.sort(byError);
}

function startOf(part: number, parts: number, nodes: readonly string[]): number {
  return Math.floor((part * nodes.length) / parts);
}

function byError(a: Unit, b: Unit): number {
  return b.error - a.error;
}
