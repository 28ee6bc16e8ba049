import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { Counter, Gauge, Registry } from 'prom-client';

/** The directions that each tier's agent shapes with a driver that works where packets come in. */
const SHAPES: Readonly<Record<string, readonly (readonly [link: string, direction: string])[]>> = {
  mobile: [['mobile-edge', 'down']],
  edge: [
    ['mobile-edge', 'up'],
    ['edge-cloud', 'down'],
  ],
  cloud: [['edge-cloud', 'up']],
};

/** Serves the figures of a tier's link agent, of a link of 100 Mbit/s and 1 ms that is half full. Gives host:port. */
export async function serveAgentMetrics(t: TestContext, tier: string): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ tier });
  const common = { labelNames: ['link', 'direction'], registers: [registry] };
  const shaped = SHAPES[tier] ?? [];
  const startMs = performance.now();
  const gauge = (name: string, value: number): void => {
    const metric = new Gauge({ name, help: `${name}.`, ...common });
    for (const [link, direction] of shaped) metric.set({ link, direction }, value);
  };
  const counter = (name: string, perSecond: number, perLink = true): void => {
    new Counter({
      name,
      help: `${name}.`,
      ...common,
      collect() {
        this.reset();
        const value = (perSecond * (performance.now() - startMs)) / 1000;
        if (!perLink) this.inc(value);
        else for (const [link, direction] of shaped) this.inc({ link, direction }, value);
      },
    });
  };
  gauge('tierbed_link_rate_bytes_per_second', 12.5e6);
  gauge('tierbed_link_delay_seconds', 0.001);
  gauge('tierbed_link_queued_bytes', 3028);
  counter('tierbed_link_packets_total', 4000);
  counter('tierbed_link_bytes_total', 6.25e6);
  counter('tierbed_link_lost_packets_total', 2);
  counter('tierbed_link_dropped_packets_total', 0);
  counter('tierbed_tcp_retransmitted_segments_total', 1, false);
  return serveRegistry(t, registry);
}

/** Serves a registry at /metrics on loopback. Gives host:port; it ends with the test. */
export async function serveRegistry(t: TestContext, registry: Registry): Promise<string> {
  const server = createServer((_, response) => {
    void registry.metrics().then((text) => response.setHeader('content-type', registry.contentType).end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
