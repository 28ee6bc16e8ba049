import { Counter, Gauge, type Registry } from 'prom-client';

/** Adds a gauge whose value is read when somebody asks for the metrics. */
export function readGauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** Adds a counter whose total is kept elsewhere, and read when somebody asks for the metrics. */
export function readCounter(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}
