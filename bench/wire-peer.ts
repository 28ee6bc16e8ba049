import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Question } from './wire-protocol.js';

/** A process of bench:wire, here or in a container: a line of JSON for a question, one for each answer. Ends with its input. */
export class WirePeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param command the program and its arguments */
  constructor([program, ...args]: readonly [string, ...string[]]) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const output = this.#child.stdout as NonNullable<ChildProcess['stdout']>;
    this.#lines = createInterface({ input: output })[Symbol.asyncIterator]();
  }

  /** The next line that it says. @throws Error when it ended instead */
  async next<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a process of the benchmark has ended');
    return JSON.parse(value) as T;
  }

  async ask(question: Question): Promise<number> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    const answer = await this.next<{ answer: number } | { error: string }>();
    if ('error' in answer) throw new Error(answer.error);
    return answer.answer;
  }

  close(): void {
    this.#child.stdin?.end();
  }
}
