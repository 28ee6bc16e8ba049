import type { SampleRow } from './columns.js';
import { addsUp, type Crossing, type Impossible, impossibleParts } from './physics.js';

/** Why the figures of a study cannot be trusted. */
export interface InvalidReason {
  readonly code: 'links' | 'physics' | 'parts' | 'rows';
  readonly message: string;
  readonly fix: string;
}

/** Whether a study's figures can be trusted; a part of summary.json. */
export interface Validity {
  readonly valid: boolean;
  readonly reasons: readonly InvalidReason[];
}

/** What links were found to be after the samples were measured. */
export interface LinksAfterwards {
  readonly ok: boolean;
  /** Figures out of tolerance, of all. */
  readonly wrong: number;
  readonly figures: number;
  /** The worst of them in words; '' where all is well. */
  readonly worst: string;
}

export interface ValidityOptions {
  readonly planned: number;
  readonly leastMs: (crossing: Crossing) => number;
  readonly toleranceMs?: number;
  /** Of each time that the links were proven after measuring. */
  readonly linksAfterwards: readonly LinksAfterwards[];
}

/** Looks at all rows of a study, as they come, and says at the end whether its figures can be trusted. */
export class ValidityCheck {
  readonly #options: ValidityOptions;
  readonly #wrongSums: number[] = [];
  #impossible = 0;
  #firstImpossible: Impossible | undefined;
  #rows = 0;
  #outOfOrder: number | undefined;

  constructor(options: ValidityOptions) {
    this.#options = options;
  }

  /** @returns what is impossible about the row: of a sample that is normal it makes the study invalid */
  add(row: SampleRow): readonly Impossible[] {
    this.#rows++;
    if (row.sample !== this.#rows) this.#outOfOrder ??= this.#rows;
    if (!addsUp(row)) this.#wrongSums.push(row.sample as number);
    const impossible = impossibleParts(row, this.#options.leastMs, this.#options.toleranceMs);
    if (impossible.length > 0 && row.fault === '') {
      this.#impossible++;
      this.#firstImpossible ??= impossible[0];
    }
    return impossible;
  }

  result(): Validity {
    const reasons = [...this.#links(), ...this.#physics(), ...this.#parts(), ...this.#missing()];
    return { valid: reasons.length === 0, reasons };
  }

  #links(): InvalidReason[] {
    return this.#options.linksAfterwards
      .filter(({ ok }) => !ok)
      .map(({ wrong, figures, worst }) => ({
        code: 'links' as const,
        message: `after the samples were measured, ${wrong} of ${figures} figures of the links were out of tolerance${worst ? `: ${worst}` : ''}`,
        fix: 'Look into links.json; stop other work on this machine, or set links that it can keep up with.',
      }));
  }

  #physics(): InvalidReason[] {
    const first = this.#firstImpossible;
    if (!first) return [];
    const { sample, part, leastMs, measuredMs } = first;
    const others = this.#impossible > 1 ? ` (${this.#impossible} samples like it)` : '';
    return [
      {
        code: 'physics',
        message: `sample ${sample} was faster than it can be: ${part} took ${measuredMs} ms where ${leastMs} ms is the least${others}`,
        fix: 'Find out what carries its bytes around the links, or whose clock is wrong: run `tierbed link verify`.',
      },
    ];
  }

  #parts(): InvalidReason[] {
    const [first] = this.#wrongSums;
    if (first === undefined) return [];
    return [
      {
        code: 'parts',
        message: `the parts of ${this.#wrongSums.length} samples do not add up to the whole, first of sample ${first}`,
        fix: 'This is a defect of Tierbed, or samples.csv was changed: report it with the file.',
      },
    ];
  }

  #missing(): InvalidReason[] {
    const { planned } = this.#options;
    if (this.#rows === planned && this.#outOfOrder === undefined) return [];
    const what =
      this.#rows === planned
        ? `row ${this.#outOfOrder} is not of sample ${this.#outOfOrder}`
        : `${this.#rows} rows for ${planned} planned samples`;
    return [{ code: 'rows', message: what, fix: 'Finish the run with --resume, or start a new one.' }];
  }
}
