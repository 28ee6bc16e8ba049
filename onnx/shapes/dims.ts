import type { Dim } from '../model.js';

/**
 * Arithmetic on dimensions: whole numbers, symbols such as `N`, expressions over symbols such as `2*N + 1`,
 * `floor((H + 1)/2)` or `min(512, S)`, and undefined for what is not known. A symbol stands for a whole number of at least 1.
 *
 * An expression is kept as its canonical text, so two dimensions are the same when their texts are. A symbol that is no
 * identifier (`unk 12`, `s0 + 1`) is written in backquotes, so that a name never reads as arithmetic.
 */

/** Coefficients by monomial; a monomial is its sorted atoms joined by JOIN, '' is 1. */
type Polynomial = ReadonlyMap<string, number>;

const JOIN = '\u0000';
const IDENTIFIER = /^[A-Za-z_]\w*$/;
const TOKEN = /\s*(\d+|[A-Za-z_]\w*|`[^`]*`|[-+*/(),])/y;
const FLOOR = /^floor\(\((.*)\)\/(\d+)\)$/;
const MIN = /^min\((\d+), (.*)\)$/;

/** The dimension that a model's `dim_param` stands for. */
export function symbolDim(name: string): string {
  return IDENTIFIER.test(name) ? name : `\`${name.replaceAll('`', "'")}\``;
}

/** A dimension as callers see it: a lone symbol is written as the model writes it. */
export function plainDim(dim: Dim): Dim {
  return typeof dim === 'string' && /^`[^`]*`$/.test(dim) ? dim.slice(1, -1) : dim;
}

function parse(text: string): Polynomial {
  let at = 0;
  const peek = (): string | undefined => {
    TOKEN.lastIndex = at;
    return TOKEN.exec(text)?.[1];
  };
  const take = (): string => {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) throw new Error(`dimension expression ends early: ${text}`);
    at = TOKEN.lastIndex;
    return token;
  };
  const factor = (): Polynomial => {
    const token = take();
    if (/^\d/.test(token)) return constant(Number(token));
    if (peek() !== '(') return new Map([[token, 1]]);
    // floor(...) and min(...) are atoms: what they hold is canonical text already, and only passed over.
    const start = at;
    let depth = 0;
    do {
      const inside = take();
      if (inside === '(') depth++;
      else if (inside === ')') depth--;
    } while (depth > 0);
    return new Map([[token + text.slice(start, at), 1]]);
  };
  const product = (): Polynomial => {
    let result = factor();
    while (peek() === '*') {
      take();
      result = times(result, factor());
    }
    return result;
  };
  const sum = (): Polynomial => {
    let result = product();
    for (let sign = peek(); sign === '+' || sign === '-'; sign = peek()) {
      take();
      result = plus(result, times(constant(sign === '+' ? 1 : -1), product()));
    }
    return result;
  };
  if (peek() !== '-') return sum();
  return plus(constant(0), parse(`0 ${text}`));
}

function constant(value: number): Polynomial {
  return value === 0 ? new Map() : new Map([['', value]]);
}

function polynomial(dim: number | string): Polynomial {
  return typeof dim === 'number' ? constant(dim) : parse(dim);
}

function plus(a: Polynomial, b: Polynomial): Polynomial {
  const result = new Map(a);
  for (const [monomial, coefficient] of b) {
    const value = (result.get(monomial) ?? 0) + coefficient;
    if (value === 0) result.delete(monomial);
    else result.set(monomial, value);
  }
  return result;
}

function times(a: Polynomial, b: Polynomial): Polynomial {
  let result: Polynomial = new Map();
  for (const [x, p] of a) {
    for (const [y, q] of b) result = plus(result, new Map([[[...atoms(x), ...atoms(y)].sort().join(JOIN), p * q]]));
  }
  return result;
}

function atoms(monomial: string): string[] {
  return monomial === '' ? [] : monomial.split(JOIN);
}

function dimOf(p: Polynomial): Dim {
  for (const coefficient of p.values()) if (!Number.isSafeInteger(coefficient)) return undefined;
  const monomials = [...p.keys()].sort((a, b) => atoms(b).length - atoms(a).length || (a < b ? -1 : 1));
  if (monomials.length === 0) return 0;
  if (monomials.length === 1 && monomials[0] === '') return p.get('');
  let text = '';
  for (const monomial of monomials) {
    const coefficient = p.get(monomial) as number;
    const size = Math.abs(coefficient);
    const term = monomial === '' ? `${size}` : [...(size === 1 ? [] : [size]), ...atoms(monomial)].join('*');
    text += text === '' ? (coefficient < 0 ? `-${term}` : term) : `${coefficient < 0 ? ' - ' : ' + '}${term}`;
  }
  return text;
}

export function addDims(a: Dim, b: Dim): Dim {
  if (a === undefined || b === undefined) return undefined;
  return dimOf(plus(polynomial(a), polynomial(b)));
}

export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims(b, -1));
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (a === 0 || b === 0) return 0;
  if (a === undefined || b === undefined) return undefined;
  return dimOf(times(polynomial(a), polynomial(b)));
}

/** The number of elements of a shape. */
export function productOf(shape: readonly Dim[]): Dim {
  return shape.reduce<Dim>(multiplyDims, 1);
}

/** floor(a / divisor) for a whole divisor above 0. */
export function floorDivideDim(a: Dim, divisor: number): Dim {
  if (a === undefined) return undefined;
  const whole = new Map<string, number>();
  const rest = new Map<string, number>();
  for (const [monomial, coefficient] of polynomial(a)) {
    const quotient = Math.floor(coefficient / divisor);
    const remainder = coefficient - quotient * divisor;
    if (quotient !== 0) whole.set(monomial, quotient);
    if (remainder !== 0) rest.set(monomial, remainder);
  }
  if (rest.size === 0 || (rest.size === 1 && rest.has(''))) return dimOf(whole);
  return dimOf(plus(whole, new Map([[`floor((${dimOf(rest)})/${divisor})`, 1]])));
}

/** The smaller of a number and a dimension; the number is at least 0. */
export function minDim(limit: number, dim: Dim): Dim {
  if (dim === undefined) return undefined;
  const ordered = atMost(limit, dim);
  if (ordered !== undefined) return ordered ? limit : dim;
  return atMost(dim, limit) ? dim : `min(${limit}, ${dim})`;
}

/** ceil(a / divisor) for a whole divisor above 0. */
export function ceilDivideDim(a: Dim, divisor: number): Dim {
  return floorDivideDim(addDims(a, divisor - 1), divisor);
}

/** a / b where b is known to divide a, as when elements are dealt out over dimensions; undefined when it cannot be told. */
export function divideDims(a: Dim, b: Dim): Dim {
  if (a === undefined || b === undefined || b === 0) return undefined;
  if (a === b) return 1;
  const [divisor, ...others] = polynomial(b);
  if (divisor === undefined || others.length > 0) return undefined;
  const result = new Map<string, number>();
  for (const [monomial, coefficient] of polynomial(a)) {
    const left = atoms(monomial);
    for (const atom of atoms(divisor[0])) {
      const at = left.indexOf(atom);
      if (at < 0) return undefined;
      left.splice(at, 1);
    }
    const quotient = coefficient / divisor[1];
    if (!Number.isInteger(quotient)) return undefined;
    result.set(left.join(JOIN), quotient);
  }
  return dimOf(result);
}

/** The least that a dimension can be: every symbol is at least 1, every floor(...) and min(...) at least 0. */
function lowerBound(dim: number | string): number {
  let bound = 0;
  for (const [monomial, coefficient] of polynomial(dim)) {
    if (monomial === '') bound += coefficient;
    else if (coefficient < 0) return Number.NEGATIVE_INFINITY;
    else if (!/(floor|min)\(/.test(monomial)) bound += coefficient;
  }
  return bound;
}

/** Whether a <= b: true, false, or undefined when it depends on the symbols. */
export function atMost(a: Dim, b: Dim): boolean | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a <= b;
  const over = subtractDims(b, a);
  if (over === undefined) return undefined;
  if (lowerBound(over) >= 0) return true;
  const under = subtractDims(a, b);
  return under !== undefined && lowerBound(under) >= 1 ? false : undefined;
}

/** Whether a = b: true, false, or undefined when it depends on the symbols. */
export function sameDim(a: Dim, b: Dim): boolean | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return true;
  return atMost(a, b) === false || atMost(b, a) === false ? false : undefined;
}

/** Two statements about one dimension, both true: the more definite one. */
export function meetDim(a: Dim, b: Dim): Dim {
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  return a ?? b;
}

/** What is true of a dimension that is either a or b. */
export function eitherDim(a: Dim, b: Dim): Dim {
  return a === b ? a : undefined;
}

/** ONNX (NumPy) broadcasting of one dimension. */
export function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === b) return a;
  if (a === 1) return b;
  if (b === 1) return a;
  // A number other than 1 decides: the other can only be 1 or the same.
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  if (a === undefined || b === undefined) return undefined;
  // Where it fits at all, min(512, S) is S.
  if (isCutFrom(a, b)) return b;
  if (isCutFrom(b, a)) return a;
  // An expression that cannot be 1 decides likewise.
  if (atMost(2, a)) return a;
  if (atMost(2, b)) return b;
  return undefined;
}

/** Whether `a` is min(limit, whole) with a limit above 1. */
function isCutFrom(a: string, whole: string): boolean {
  const [, limit, inner] = MIN.exec(a) ?? [];
  return inner === whole && Number(limit) > 1;
}

/** The value of a dimension when its symbols have these values; undefined when one of them has none. */
export function evaluateDim(dim: Dim, symbols: Readonly<Record<string, number>>): number | undefined {
  if (dim === undefined || typeof dim === 'number') return dim;
  if (Object.hasOwn(symbols, dim)) return symbols[dim];
  // A symbol with no value, whose name is no expression.
  if (!IDENTIFIER.test(dim) && !/[-+*/`(]/.test(dim)) return undefined;
  let total = 0;
  for (const [monomial, coefficient] of parse(dim)) {
    let value = coefficient;
    for (const atom of atoms(monomial)) value *= atomValue(atom, symbols) ?? Number.NaN;
    total += value;
  }
  return Number.isNaN(total) ? undefined : total;
}

function atomValue(atom: string, symbols: Readonly<Record<string, number>>): number | undefined {
  const [, dividend, divisor] = FLOOR.exec(atom) ?? [];
  if (dividend) return Math.floor((evaluateDim(dividend, symbols) ?? Number.NaN) / Number(divisor));
  const [, limit, inner] = MIN.exec(atom) ?? [];
  if (inner) return Math.min(Number(limit), evaluateDim(inner, symbols) ?? Number.NaN);
  const name = plainDim(atom) as string;
  return Object.hasOwn(symbols, name) ? symbols[name] : undefined;
}
