import { Counter, Gauge, Registry } from 'prom-client';
import { version } from '../../base/paths.js';
import type { CallName } from './calls.js';

/** What the gate let through and what not. */
export class GateMetrics {
  readonly registry = new Registry();
  readonly #allowed: Counter<'call'>;
  readonly #failed: Counter<'call'>;
  readonly #refused: Counter;

  constructor() {
    const registers = [this.registry];
    new Gauge({ name: 'tierbed_gate_info', help: 'Always 1.', labelNames: ['version'], registers }).set({ version }, 1);
    this.#allowed = new Counter({
      name: 'tierbed_gate_allowed_total',
      help: 'Calls that were let through to the Docker engine.',
      labelNames: ['call'],
      registers,
    });
    this.#failed = new Counter({
      name: 'tierbed_gate_failed_total',
      help: 'Calls of those let through that the Docker engine answered with an error.',
      labelNames: ['call'],
      registers,
    });
    this.#refused = new Counter({ name: 'tierbed_gate_refused_total', help: 'Requests that were refused.', registers });
  }

  allowed(call: CallName): void {
    this.#allowed.inc({ call });
  }

  failed(call: CallName): void {
    this.#failed.inc({ call });
  }

  refused(): void {
    this.#refused.inc();
  }
}
