import { TierbedError } from '../base/errors.js';
import { decodeTensors, encodeTensors } from '../onnx/encodings/link-encoding.js';
import { type ModelSession, openModel } from '../onnx/runtime/session.js';
import type { NamedTensor } from '../onnx/tensor.js';
import { exitAnswer } from '../workloads/exit-rule.js';
import type { StageModel } from './variant.js';

/** What a chain of stages answered. */
export interface ChainAnswer {
  readonly outputs: readonly NamedTensor[];
  /** Index of the stage at whose exit the request ended; undefined when it went through all. */
  readonly exit: number | undefined;
}

/** Told of a stage, by its index, and of its outputs. */
export type StageObserver = (stage: number, outputs: readonly NamedTensor[]) => void;

/** A variant's stages open in this process, one behind the other, as nodes would run them, with the encodings between. */
export class Chain {
  readonly #stages: readonly StageModel[];
  readonly #sessions: readonly ModelSession[];

  private constructor(stages: readonly StageModel[], sessions: readonly ModelSession[]) {
    this.#stages = stages;
    this.#sessions = sessions;
  }

  /** @param threads 0 is one for each processor. @throws TierbedError `invalid` when the runtime refuses a stage */
  static async open(stages: readonly StageModel[], threads = 0): Promise<Chain> {
    const sessions: ModelSession[] = [];
    try {
      for (const { files } of stages) sessions.push(await openModel(files[0]?.path as string, { threads }));
    } catch (error) {
      await Promise.all(sessions.map((session) => session.close()));
      throw error;
    }
    return new Chain(stages, sessions);
  }

  /**
   * @param observe is shown what each stage gave, before it is encoded
   * @throws TierbedError `invalid` when a stage cannot run what it is given
   */
  async run(inputs: readonly NamedTensor[], observe: StageObserver = () => {}): Promise<ChainAnswer> {
    let tensors = inputs;
    for (const [i, session] of this.#sessions.entries()) {
      const given = session.inputs.map(({ name }) => {
        const found = tensors.find((tensor) => tensor.name === name);
        if (!found) throw new TierbedError('invalid', `stage ${i} needs '${name}', which it is not given`);
        return found;
      });
      tensors = await session.run(given);
      observe(i, tensors);
      const rule = this.#stages[i]?.exit;
      const answer = rule && exitAnswer(rule, tensors);
      if (answer) return { outputs: answer, exit: i };
      const encoding = this.#stages[i]?.encoding;
      if (encoding && i < this.#sessions.length - 1) tensors = decodeTensors(encodeTensors(tensors, encoding));
    }
    return { outputs: tensors, exit: undefined };
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
  }
}
