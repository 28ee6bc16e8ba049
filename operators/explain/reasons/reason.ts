import type { Findings } from '../examined.js';

/** A node that a reason names. */
export interface NamedNode {
  readonly name: string;
  readonly kernel: string;
  readonly ms: number;
  /** What is to be said of this node. */
  readonly note?: string;
}

/** Why a variant is not faster, or not faster than it is. */
export interface Reason {
  /** Of its file in this folder. */
  readonly reason: string;
  /** What was measured of it, in a run of the variant. */
  readonly ms: number;
  /** One or two sentences for people. */
  readonly says: string;
  /** The nodes it is about, the slowest first; all of them. */
  readonly nodes: readonly NamedNode[];
}

/** Looks for one kind of reason. A pure function: everything was measured before. */
export type FindReason = (findings: Findings) => Reason | undefined;

/** Milliseconds for people. */
export function formatMs(ms: number): string {
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3)} ms`;
}

/** A share for people. */
export function formatShare(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** `1 node`, `3 nodes`. */
export function countOf(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

export function sumMs(nodes: readonly { readonly ms: number }[]): number {
  return nodes.reduce((total, { ms }) => total + ms, 0);
}

/** Nodes as reasons name them, the slowest first. */
export function named<T extends NamedNode>(nodes: readonly T[], note?: (node: T) => string | undefined): NamedNode[] {
  return [...nodes]
    .sort((a, b) => b.ms - a.ms)
    .map((node) => {
      const text = note?.(node);
      return { name: node.name, kernel: node.kernel, ms: node.ms, ...(text !== undefined && { note: text }) };
    });
}
