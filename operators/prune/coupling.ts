/**
 * What each index along an axis belongs to: one label an index, of a `Coupling`. Several indices may share a label, and
 * labels that were joined go together: an index can only be removed with all of them.
 */
export type AxisLabels = Int32Array;

/** What removing indices changes besides: a reason, in words. */
export type Reason = string;

/** Labels that are joined where the graph couples them (union-find), and what is known of those that go together. */
export class Coupling {
  #parent = new Int32Array(1024);
  /** By root: 1 + position in `#reasons` of why it stays; 0 where nothing keeps it. */
  #pinned = new Int32Array(1024);
  /** By root: 1 + position in `#reasons` of what its removal changes besides. */
  #effect = new Int32Array(1024);
  #heads = new Uint8Array(1024);
  #count = 0;
  readonly #reasons: Reason[] = [];
  readonly #reasonAt = new Map<Reason, number>();

  /** New labels, none of them joined. */
  fresh(count: number): AxisLabels {
    const first = this.#count;
    this.#count += count;
    while (this.#count > this.#parent.length) this.#grow();
    return Int32Array.from({ length: count }, (_, i) => {
      this.#parent[first + i] = first + i;
      return first + i;
    });
  }

  /** The label that stands for all that a label is joined with: the oldest of them. */
  find(label: number): number {
    const parent = this.#parent;
    let root = label;
    while (parent[root] !== root) root = parent[root] as number;
    for (let at = label; at !== root; ) {
      const next = parent[at] as number;
      parent[at] = root;
      at = next;
    }
    return root;
  }

  join(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    if (x === y) return;
    const [root, other] = x < y ? [x, y] : [y, x];
    this.#parent[other] = root;
    this.#pinned[root] ||= this.#pinned[other] as number;
    this.#effect[root] ||= this.#effect[other] as number;
    this.#heads[root] ||= this.#heads[other] as number;
  }

  /** Joins two axes of one size, index by index. */
  joinAxes(a: AxisLabels, b: AxisLabels): void {
    for (let i = 0; i < a.length; i++) this.join(a[i] as number, b[i] as number);
  }

  /** Keeps labels, and all that go with them. The first reason given is the one that is told. */
  pin(labels: Iterable<number>, reason: Reason): void {
    const at = this.#remember(reason);
    for (const label of labels) this.#pinned[this.find(label)] ||= at;
  }

  /** Notes what removing labels changes besides. */
  affect(labels: Iterable<number>, reason: Reason): void {
    const at = this.#remember(reason);
    for (const label of labels) this.#effect[this.find(label)] ||= at;
  }

  /** Notes that labels are heads of an attention, or parts of an axis that was split like one. */
  markHeads(labels: Iterable<number>): void {
    for (const label of labels) this.#heads[this.find(label)] = 1;
  }

  /** Why a label cannot be removed; undefined when it can. */
  pinnedBy(label: number): Reason | undefined {
    return this.#reasons[(this.#pinned[this.find(label)] as number) - 1];
  }

  effectOf(label: number): Reason | undefined {
    return this.#reasons[(this.#effect[this.find(label)] as number) - 1];
  }

  isHead(label: number): boolean {
    return this.#heads[this.find(label)] === 1;
  }

  #remember(reason: Reason): number {
    const known = this.#reasonAt.get(reason);
    if (known !== undefined) return known;
    this.#reasons.push(reason);
    this.#reasonAt.set(reason, this.#reasons.length);
    return this.#reasons.length;
  }

  #grow(): void {
    const larger = <T extends Int32Array | Uint8Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    const size = 2 * this.#parent.length;
    this.#parent = larger(this.#parent, new Int32Array(size));
    this.#pinned = larger(this.#pinned, new Int32Array(size));
    this.#effect = larger(this.#effect, new Int32Array(size));
    this.#heads = larger(this.#heads, new Uint8Array(size));
  }
}
