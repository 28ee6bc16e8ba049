import type { TensorType } from '../../onnx/infer.js';
import { DATA_TYPE } from '../../onnx/model.js';
import { denseTensor } from '../../onnx/tensor.js';
import { activationParams } from '../quantise/graph/activations.js';
import type { Emitter } from '../quantise/graph/emitter.js';
import type { WeightOptions } from '../quantise/graph/parts.js';
import { type Plan, rangeOf, rangeSource } from '../quantise/graph/plan.js';
import type { Range } from '../quantise/range.js';
import type { RangeKind, SimulatedRange } from './simulation.js';

export interface SimulateOptions extends WeightOptions {
  readonly ranges: RangeKind;
  /** Types of the float model's tensors. */
  readonly types?: ReadonlyMap<string, TensorType>;
  /** Numbers for symbols in shapes. */
  readonly dims?: Readonly<Record<string, number>>;
}

/** Scale and zero point in the simulation. */
export interface Steps {
  readonly scale: string;
  readonly zeroPoint: string;
  /** What looks at a batch's extremes: added where the first tensor of that range is there. */
  watch?: { readonly least: string; readonly greatest: string } | undefined;
}

/** The ranges of a simulation's activations: scales and zero points, as constants or worked out. */
export class SimulatedRanges {
  readonly list: SimulatedRange[] = [];
  readonly #plan: Plan;
  readonly #given: ReadonlyMap<string, Range>;
  readonly #options: SimulateOptions;
  readonly #emitter: Emitter;
  readonly #known = new Map<string, Steps>();

  constructor(plan: Plan, ranges: ReadonlyMap<string, Range>, options: SimulateOptions, emitter: Emitter) {
    this.#plan = plan;
    this.#given = ranges;
    this.#options = options;
    this.#emitter = emitter;
  }

  /** The scale that a tensor's range starts with. */
  startScale(tensor: string): number {
    const source = rangeSource(this.#plan, tensor);
    return activationParams(rangeOf(this.#plan, this.#given, source) as Range, this.#plan.activations).scale;
  }

  /** Scale and zero point of a tensor: those that share a range share them. */
  of(tensor: string): Steps {
    const source = rangeSource(this.#plan, tensor);
    const known = this.#known.get(source);
    if (known) return known;
    const steps = this.#made(source);
    this.#known.set(source, steps);
    return steps;
  }

  #made(source: string): Steps {
    const { activations } = this.#plan;
    const kind = this.#options.ranges;
    const range = rangeOf(this.#plan, this.#given, source) as Range;
    const { scale, zeroPoint } = activationParams(range, activations);
    const bounds = rangeOf(this.#plan, new Map([[source, EVERYTHING]]), source) as Range;
    const common = { source, start: { scale, zeroPoint }, bounds, elements: this.#elements(source) };
    const emitter = this.#emitter;
    const zero = () => emitter.constant(`${source}_zero_point`, denseTensor(activations, [], Uint8Array.of(zeroPoint)));
    if (kind === 'fixed') {
      this.list.push(common);
      return { scale: emitter.scalar(`${source}_scale`, scale), zeroPoint: zero() };
    }
    if (kind === 'learned') {
      const factor = emitter.scalar(`${source}_scale_factor`, 1);
      const start = emitter.scalar(`${source}_scale_start`, scale);
      this.list.push({ ...common, factor });
      return { scale: emitter.node('Mul', [factor, start], emitter.free(`${source}_scale`)), zeroPoint: zero() };
    }
    const moves = activations === 'uint8' && bounds.min < 0;
    const moving = {
      range,
      scale: emitter.scalar(`${source}_scale`, scale),
      ...(moves && { zeroPoint: emitter.scalar(`${source}_zero`, zeroPoint) }),
      least: emitter.free(`${source}_least`),
      greatest: emitter.free(`${source}_greatest`),
    };
    this.list.push({ ...common, moving });
    const { least, greatest } = moving;
    return {
      scale: moving.scale,
      zeroPoint: moving.zeroPoint ? this.#asSteps(source, moving.zeroPoint) : zero(),
      watch: { least, greatest },
    };
  }

  /** A zero point that changes, which is held as a float, in the type of the steps. */
  #asSteps(stem: string, zero: string): string {
    const to = DATA_TYPE[this.#plan.activations];
    return this.#emitter.node('Cast', [zero], this.#emitter.free(`${stem}_zero_point`), { to });
  }

  #elements(tensor: string): number {
    const shape = this.#options.types?.get(tensor)?.shape ?? [];
    return shape.slice(1).reduce<number>((product, dim) => product * this.#size(dim), 1);
  }

  #size(dim: number | string | undefined): number {
    if (typeof dim === 'number') return Math.max(1, dim);
    return (dim !== undefined && this.#options.dims?.[dim]) || 1;
  }

  /** Looks at a batch's extremes, where a range follows them. @param unit of the tensor, unless it has numbers */
  watch(steps: Steps, float: string, unit?: string): void {
    const { watch } = steps;
    if (!watch) return;
    steps.watch = undefined;
    for (const [opType, name] of [
      ['ReduceMin', watch.least],
      ['ReduceMax', watch.greatest],
    ] as const) {
      if (unit === undefined) this.#emitter.node(opType, [float], name, { keepdims: 0 });
      else {
        const found = this.#emitter.node(opType, [float], this.#emitter.free(`${name}_steps`), { keepdims: 0 });
        this.#emitter.node('Mul', [found, unit], name);
      }
    }
  }
}

/** Wider than any range: what is left of it are a tensor's bounds. */
const EVERYTHING: Range = { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
